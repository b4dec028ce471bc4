//! The section as JSON: known keys only, and each value of the kind that its key has.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{KEYS, ParsePackageError, nearest};

/// A section whose keys are all known.
pub(super) struct Section<'a>(&'a Map<String, Value>);

impl<'a> Section<'a> {
    pub(super) fn of(value: &'a Value) -> Result<Section<'a>, ParsePackageError> {
        let object = value
            .as_object()
            .ok_or_else(|| ParsePackageError::NotAnObject { found: kind(value) })?;
        match object.keys().find(|key| !KEYS.contains(&key.as_str())) {
            Some(key) => Err(ParsePackageError::UnknownKey {
                nearest: nearest::of(key, &KEYS),
                key: key.clone(),
            }),
            None => Ok(Section(object)),
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The value, as `read` understands it. What `read` returns otherwise goes on where the key's name ends.
    pub(super) fn checked<T>(
        &self,
        key: &str,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Result<Option<T>, ParsePackageError> {
        debug_assert!(KEYS.contains(&key), "{key} is a key");
        self.0
            .get(key)
            .map(read)
            .transpose()
            .map_err(|reason| ParsePackageError::Value {
                key: key.to_owned(),
                reason,
            })
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<String>, ParsePackageError> {
        self.checked(key, text)
    }

    pub(super) fn choice<T: DeserializeOwned + Default>(
        &self,
        key: &str,
        choices: &str,
    ) -> Result<T, ParsePackageError> {
        let found = self.checked(key, |value| choice(value, choices))?;
        Ok(found.unwrap_or_default())
    }

    /// An array, each value of which `read` understands.
    pub(super) fn each<T>(
        &self,
        key: &str,
        read: impl Fn(&Value) -> Result<T, String>,
    ) -> Result<Vec<T>, ParsePackageError> {
        let found = self.checked(key, |value| {
            let values = value
                .as_array()
                .ok_or_else(|| format!("is {} instead of an array", kind(value)))?;
            values.iter().map(read).collect()
        })?;
        Ok(found.unwrap_or_default())
    }

    pub(super) fn texts(&self, key: &str) -> Result<Vec<String>, ParsePackageError> {
        self.each(key, text)
    }
}

/// A text that a program can be given.
pub(super) fn text(value: &Value) -> Result<String, String> {
    let text = value
        .as_str()
        .ok_or_else(|| format!("has {} instead of a text", kind(value)))?;
    match text.contains('\0') {
        true => Err(format!("has {text:?}, which contains a NUL character")),
        false => Ok(text.to_owned()),
    }
}

/// One of the names that a type has.
pub(super) fn choice<T: DeserializeOwned>(value: &Value, choices: &str) -> Result<T, String> {
    serde_json::from_value(value.clone()).map_err(|_| format!("is {value}: expected {choices}"))
}

/// What a value is, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

//! The manifest as it is written, and its way to the validated form.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    AptPackages, Input, Manifest, NpmPackage, ParseManifestError, PipWheel, Provider,
    ProviderProblem, Sha256Sum, UrlFile,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawManifest {
    #[serde(default)]
    input: Vec<RawInput>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawInput {
    name: String,
    what: String,
    version: String,
    #[serde(default)]
    provider: Vec<RawProvider>,
}

/// All keys of all clients: which of them go together is checked afterwards, to name what is wrong.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawProvider {
    apt: Option<Vec<String>>,
    pip: Option<String>,
    npm: Option<String>,
    url: Option<String>,
    arch: Option<String>,
    at_least: Option<String>,
    newer: Option<BTreeMap<String, Vec<String>>>,
    platform: Option<String>,
    version: Option<String>,
    sha256: Option<String>,
    bytes: Option<u64>,
}

pub(super) fn parse(text: &str) -> Result<Manifest, ParseManifestError> {
    let raw: RawManifest =
        toml::from_str(text).map_err(|e| ParseManifestError::Syntax(Box::new(e)))?;
    let mut inputs = BTreeMap::new();
    for raw in raw.input {
        let input = Input::try_from(raw)?;
        if let Some(first) = inputs.insert(input.name.clone(), input) {
            return Err(ParseManifestError::Twice { name: first.name });
        }
    }
    Ok(Manifest { inputs })
}

impl TryFrom<RawInput> for Input {
    type Error = ParseManifestError;

    fn try_from(raw: RawInput) -> Result<Input, ParseManifestError> {
        let RawInput {
            name,
            what,
            version,
            provider,
        } = raw;
        if !is_name(&name) {
            return Err(ParseManifestError::Name { name });
        }
        let wrong = |problem| ParseManifestError::Value {
            name: name.clone(),
            problem,
        };
        if what.trim().is_empty() {
            return Err(wrong(ProviderProblem::Empty { key: "what" }));
        }
        if !is_name(&version) {
            return Err(wrong(ProviderProblem::Name {
                key: "version",
                text: version,
            }));
        }
        if provider.is_empty() {
            return Err(ParseManifestError::NoProvider { name });
        }
        let mut providers = Vec::new();
        for (index, raw) in provider.into_iter().enumerate() {
            let number = index + 1;
            let provider = Provider::try_from(raw);
            providers.push(provider.map_err(|problem| ParseManifestError::Provider {
                name: name.clone(),
                number,
                problem,
            })?);
        }
        Ok(Input {
            name,
            what,
            version,
            providers,
        })
    }
}

impl TryFrom<RawProvider> for Provider {
    type Error = ProviderProblem;

    fn try_from(mut raw: RawProvider) -> Result<Provider, ProviderProblem> {
        let client = match (&raw.apt, &raw.pip, &raw.npm, &raw.url) {
            (Some(_), None, None, None) => "apt",
            (None, Some(_), None, None) => "pip",
            (None, None, Some(_), None) => "npm",
            (None, None, None, Some(_)) => "url",
            _ => return Err(ProviderProblem::Client),
        };
        let provider = match client {
            "apt" => Provider::Apt(AptPackages {
                packages: names("apt", raw.apt.take().unwrap_or_default())?,
                arch: name("arch", needed(client, "arch", &mut raw.arch)?)?,
                at_least: raw
                    .at_least
                    .take()
                    .map(|text| name("at-least", text))
                    .transpose()?,
                newer: newer(raw.newer.take().unwrap_or_default())?,
            }),
            "pip" => Provider::Pip(PipWheel {
                package: name("pip", needed(client, "pip", &mut raw.pip)?)?,
                platform: name("platform", needed(client, "platform", &mut raw.platform)?)?,
                sha256: sum(needed(client, "sha256", &mut raw.sha256)?)?,
                bytes: needed(client, "bytes", &mut raw.bytes)?,
            }),
            "npm" => Provider::Npm(NpmPackage {
                package: name("npm", needed(client, "npm", &mut raw.npm)?)?,
                sha256: sum(needed(client, "sha256", &mut raw.sha256)?)?,
                bytes: needed(client, "bytes", &mut raw.bytes)?,
            }),
            _ => Provider::Url(UrlFile {
                url: address(needed(client, "url", &mut raw.url)?)?,
                version: needed(client, "version", &mut raw.version)?,
                sha256: sum(needed(client, "sha256", &mut raw.sha256)?)?,
            }),
        };
        match raw.first_key() {
            Some(key) => Err(ProviderProblem::Useless { client, key }),
            None => Ok(provider),
        }
    }
}

impl RawProvider {
    /// A key that was given and that nobody took.
    fn first_key(&self) -> Option<&'static str> {
        let given = [
            ("arch", self.arch.is_some()),
            ("at-least", self.at_least.is_some()),
            ("newer", self.newer.is_some()),
            ("platform", self.platform.is_some()),
            ("version", self.version.is_some()),
            ("sha256", self.sha256.is_some()),
            ("bytes", self.bytes.is_some()),
        ];
        given
            .into_iter()
            .find_map(|(key, given)| given.then_some(key))
    }
}

fn needed<T>(
    client: &'static str,
    key: &'static str,
    value: &mut Option<T>,
) -> Result<T, ProviderProblem> {
    value.take().ok_or(ProviderProblem::Missing { client, key })
}

/// Whether the word can stand in a command, a file's name and apt's configuration. npm's scopes have `@` and `/`.
fn is_name(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "+-._~:@/".contains(c);
    let starts = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '@');
    starts && text.chars().all(good) && !text.contains("..")
}

fn name(key: &'static str, text: String) -> Result<String, ProviderProblem> {
    match is_name(&text) {
        true => Ok(text),
        false => Err(ProviderProblem::Name { key, text }),
    }
}

fn names(key: &'static str, texts: Vec<String>) -> Result<Vec<String>, ProviderProblem> {
    if texts.is_empty() {
        return Err(ProviderProblem::Missing {
            client: "apt",
            key: "at least one package",
        });
    }
    texts.into_iter().map(|text| name(key, text)).collect()
}

fn newer(
    releases: BTreeMap<String, Vec<String>>,
) -> Result<BTreeMap<String, Vec<String>>, ProviderProblem> {
    let valid =
        |(distribution, codenames)| Ok((name("newer", distribution)?, names("newer", codenames)?));
    releases.into_iter().map(valid).collect()
}

fn sum(text: String) -> Result<Sha256Sum, ProviderProblem> {
    Sha256Sum::parse(&text).ok_or(ProviderProblem::Sum { text })
}

fn address(text: String) -> Result<String, ProviderProblem> {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    match rest.is_some_and(|rest| !rest.is_empty() && !text.contains(char::is_whitespace)) {
        true => Ok(text),
        false => Err(ProviderProblem::Address { text }),
    }
}

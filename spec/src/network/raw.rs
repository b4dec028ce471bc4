//! `network.json` as it is written, before anything but its form is checked.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawNetworkSpec {
    pub(super) hostname: Option<String>,
    #[serde(default)]
    pub(super) interfaces: BTreeMap<String, RawInterface>,
    #[serde(default)]
    pub(super) nameservers: Vec<String>,
    pub(super) ntp: Option<RawNtp>,
}

pub(super) enum RawInterface {
    Word(String),
    Static(RawStatic),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStatic {
    pub(super) address: Option<String>,
    pub(super) gateway: Option<String>,
    pub(super) address6: Option<String>,
    pub(super) gateway6: Option<String>,
}

pub(super) enum RawNtp {
    Off,
    Hosts(Vec<String>),
}

/// By hand, because the sentence of a derived choice ("did not match any variant") helps nobody.
impl<'de> Deserialize<'de> for RawInterface {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RawInterface, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = RawInterface;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"dhcp\", \"off\" or an object with an address")
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<RawInterface, E> {
                Ok(RawInterface::Word(word.to_owned()))
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<RawInterface, M::Error> {
                RawStatic::deserialize(MapAccessDeserializer::new(map)).map(RawInterface::Static)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for RawNtp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RawNtp, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = RawNtp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("false or a list of time servers")
            }

            fn visit_bool<E: serde::de::Error>(self, wanted: bool) -> Result<RawNtp, E> {
                if wanted {
                    return Err(E::invalid_value(serde::de::Unexpected::Bool(wanted), &self));
                }
                Ok(RawNtp::Off)
            }

            fn visit_seq<S: SeqAccess<'de>>(self, hosts: S) -> Result<RawNtp, S::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(hosts)).map(RawNtp::Hosts)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

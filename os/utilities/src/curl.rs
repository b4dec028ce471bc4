//! `curl` and `wget`: HTTP and HTTPS by ureq and rustls. Which command line asks for what is in [`crate::request`].

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ureq::config::Config;
use ureq::http;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::transport::DefaultConnector;

use crate::names::Names;
use crate::request::{Data, HELP, Request, Target};
use crate::{complain, describe};

/// The authorities that the image brings; SSL_CERT_FILE names others.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
const AUTHORITIES_VARIABLE: &str = "SSL_CERT_FILE";
/// More redirections than this are a circle.
const REDIRECTIONS: u32 = 20;
/// curl's own codes, which scripts ask for.
const USAGE_FAILED: i32 = 2;
const NO_HOST: i32 = 6;
const NO_CONNECTION: i32 = 7;
const REFUSED: i32 = 22;
const NOT_WRITTEN: i32 = 23;
const TOO_LATE: i32 = 28;

/// Why something was not fetched.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("cannot fetch {url}")]
    Transfer {
        url: String,
        #[source]
        source: ureq::Error,
    },
    #[error("{url} cannot be asked for")]
    Malformed {
        url: String,
        #[source]
        source: http::Error,
    },
    #[error("{url} answers {status}")]
    Refused {
        url: String,
        status: http::StatusCode,
    },
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{url} has no name for a file: -o gives one")]
    NoName { url: String },
}

impl FetchError {
    fn code(&self) -> i32 {
        match self {
            Self::Transfer { source, .. } => match source {
                ureq::Error::HostNotFound => NO_HOST,
                ureq::Error::Timeout(_) => TOO_LATE,
                _ => NO_CONNECTION,
            },
            Self::Malformed { .. } | Self::NoName { .. } => USAGE_FAILED,
            Self::Refused { .. } => REFUSED,
            Self::Read { .. } | Self::Write { .. } => NOT_WRITTEN,
        }
    }
}

pub(crate) fn run(mut args: Vec<OsString>) -> i32 {
    let name = args.remove(0);
    let name = name
        .to_string_lossy()
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_owned();
    let request = if name == "wget" {
        Request::wget(args)
    } else {
        Request::curl(args)
    };
    let request = match request {
        Ok(request) => request,
        Err(error) => return complain(&format!("{name}: {error}"), USAGE_FAILED),
    };
    if request.help {
        let _ = io::stdout().write_all(HELP.as_bytes());
        return 0;
    }
    let agent = match agent(&request) {
        Ok(agent) => agent,
        Err(error) => return report(&name, &request, &error),
    };
    let mut code = 0;
    for url in &request.urls {
        if let Err(error) = fetch(&agent, &request, url) {
            code = report(&name, &request, &error);
        }
    }
    code
}

fn report(name: &str, request: &Request, error: &FetchError) -> i32 {
    if request.silent && !request.show_errors {
        return error.code();
    }
    complain(&format!("{name}: {}", describe(error)), error.code())
}

fn agent(request: &Request) -> Result<ureq::Agent, FetchError> {
    let tls = TlsConfig::builder().root_certs(authorities()?).build();
    let config = Config::builder()
        .tls_config(tls)
        .http_status_as_error(false)
        .max_redirects(if request.follow { REDIRECTIONS } else { 0 })
        .max_redirects_will_error(request.follow)
        .timeout_global(request.seconds.map(Duration::from_secs_f64))
        .user_agent(concat!("nodeos-curl/", env!("CARGO_PKG_VERSION")))
        .allow_non_standard_methods(true)
        .build();
    Ok(ureq::Agent::with_parts(
        config,
        DefaultConnector::default(),
        Names,
    ))
}

/// The system's certificate authorities, else those that browsers trust.
fn authorities() -> Result<RootCerts, FetchError> {
    let named = std::env::var_os(AUTHORITIES_VARIABLE).map(PathBuf::from);
    let path = named.clone().unwrap_or_else(|| AUTHORITIES.into());
    let text = match fs::read(&path) {
        Ok(text) => text,
        // Who names a file means it.
        Err(source) if named.is_some() => return Err(FetchError::Read { path, source }),
        Err(_) => return Ok(RootCerts::WebPki),
    };
    let certificates = parse_pem(&text).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    Ok(RootCerts::Specific(Arc::new(certificates.collect())))
}

fn fetch(agent: &ureq::Agent, request: &Request, url: &str) -> Result<(), FetchError> {
    let body = match &request.data {
        None => Vec::new(),
        Some(Data::Text(text)) => text.clone().into_bytes(),
        Some(Data::File(path)) => fs::read(path).map_err(|source| FetchError::Read {
            path: path.clone(),
            source,
        })?,
    };
    let mut builder = http::Request::builder().method(request.method()).uri(url);
    let has_type = request
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    if request.data.is_some() && !has_type {
        builder = builder.header("Content-Type", "application/x-www-form-urlencoded");
    }
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    let malformed = |source| FetchError::Malformed {
        url: url.to_owned(),
        source,
    };
    let transfer = |source| FetchError::Transfer {
        url: url.to_owned(),
        source,
    };
    let answer = if request.data.is_some() {
        agent.run(builder.body(body).map_err(malformed)?)
    } else {
        agent.run(builder.body(()).map_err(malformed)?)
    };
    let answer = answer.map_err(transfer)?;
    if request.fail && answer.status().as_u16() >= 400 {
        return Err(FetchError::Refused {
            url: url.to_owned(),
            status: answer.status(),
        });
    }
    save(answer, request, url)
}

fn save(
    mut answer: http::Response<ureq::Body>,
    request: &Request,
    url: &str,
) -> Result<(), FetchError> {
    let path = match &request.target {
        Target::Output => None,
        Target::File(path) => Some(path.clone()),
        Target::OwnName => Some(own_name(url)?),
    };
    let failed = |source| FetchError::Write {
        path: path.clone().unwrap_or_else(|| "standard output".into()),
        source,
    };
    let mut output: Box<dyn Write> = match &path {
        Some(path) => Box::new(File::create(path).map_err(failed)?),
        None => Box::new(io::stdout().lock()),
    };
    if request.head_only || request.with_head {
        let mut head = format!("{:?} {}\r\n", answer.version(), answer.status());
        for (name, value) in answer.headers() {
            head.push_str(&format!(
                "{name}: {}\r\n",
                String::from_utf8_lossy(value.as_bytes())
            ));
        }
        head.push_str("\r\n");
        output.write_all(head.as_bytes()).map_err(failed)?;
    }
    if !request.head_only {
        io::copy(&mut answer.body_mut().as_reader(), &mut output).map_err(failed)?;
    }
    output.flush().map_err(failed)
}

/// The last part of the URL's path, which leads nowhere else.
fn own_name(url: &str) -> Result<PathBuf, FetchError> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let path = path.split_once("://").map_or(path, |(_, path)| path);
    let name = path
        .split_once('/')
        .and_then(|(_, path)| path.rsplit('/').next());
    match name {
        Some(name) if !name.is_empty() && name != "." && name != ".." => Ok(name.into()),
        _ => Err(FetchError::NoName {
            url: url.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_is_the_last_part_of_the_url() {
        let check = |url: &str, expected: Option<&str>| {
            assert_eq!(own_name(url).ok(), expected.map(PathBuf::from), "{url}");
        };
        check("http://h/a/b.tgz?x=/y", Some("b.tgz"));
        check("http://h/a/", None);
        check("http://h", None);
        check("http://h/..", None);
    }
}

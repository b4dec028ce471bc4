//! The command lines of `curl` and `wget`: what to fetch, how, and where it goes.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::Arg;

pub(crate) const HELP: &str = "\
Usage: curl [OPTION]... URL...
       wget [-O FILE] [-q] URL...

Fetches URLs over HTTP and HTTPS.

  -o, --output FILE  write to FILE (wget: -O FILE)
  -O, --remote-name  write to a file of the URL's last part, as wget does by itself
  -L, --location     follow redirections, as wget does by itself
  -I, --head         show the head of the answer only
  -i, --include      show the head too
  -H, --header LINE  send this header
  -d, --data TEXT    send this (@FILE: what is in FILE), by POST
  -X, --request NAME use this method
  -f, --fail         an answer of 400 and over is an error, and is not shown
  -s, --silent       do not say what failed (-S: do)
  -m, --max-time N   give up after N seconds
      --help         print this text
";

/// Where an answer goes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Target {
    #[default]
    Output,
    File(PathBuf),
    /// A file of the URL's last part.
    OwnName,
}

/// What a command line asks for.
#[derive(Debug, Default)]
pub(crate) struct Request {
    pub(crate) urls: Vec<String>,
    pub(crate) target: Target,
    pub(crate) follow: bool,
    pub(crate) head_only: bool,
    pub(crate) with_head: bool,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) data: Option<Data>,
    pub(crate) method: Option<String>,
    pub(crate) fail: bool,
    pub(crate) silent: bool,
    pub(crate) show_errors: bool,
    pub(crate) seconds: Option<f64>,
    pub(crate) help: bool,
}

/// What to send.
#[derive(Debug, PartialEq)]
pub(crate) enum Data {
    Text(String),
    File(PathBuf),
}

/// Why a command line is not understood.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("{0}")]
    Syntax(#[from] lexopt::Error),
    #[error("a header is NAME: VALUE, not {0}")]
    Header(String),
    #[error("there is no URL to fetch; --help says how")]
    NoUrl,
}

fn data(text: String) -> Data {
    match text.strip_prefix('@') {
        Some(name) => Data::File(name.into()),
        None => Data::Text(text),
    }
}

impl Request {
    /// curl's command line, without the program's name.
    pub(crate) fn curl(args: Vec<OsString>) -> Result<Self, RequestError> {
        use lexopt::ValueExt as _;
        let mut request = Self::default();
        let mut parser = lexopt::Parser::from_args(args);
        while let Some(arg) = parser.next()? {
            match arg {
                Arg::Short('o') | Arg::Long("output") => {
                    request.target = Target::File(parser.value()?.into());
                }
                Arg::Short('O') | Arg::Long("remote-name") => request.target = Target::OwnName,
                Arg::Short('L') | Arg::Long("location") => request.follow = true,
                Arg::Short('I') | Arg::Long("head") => request.head_only = true,
                Arg::Short('i') | Arg::Long("include") => request.with_head = true,
                Arg::Short('H') | Arg::Long("header") => {
                    request.header(&parser.value()?.string()?)?
                }
                Arg::Short('d') | Arg::Long("data") => {
                    request.data = Some(data(parser.value()?.string()?));
                }
                Arg::Short('X') | Arg::Long("request") => {
                    request.method = Some(parser.value()?.string()?);
                }
                Arg::Short('A') | Arg::Long("user-agent") => {
                    let value = parser.value()?.string()?;
                    request.headers.push(("User-Agent".into(), value));
                }
                Arg::Short('f') | Arg::Long("fail") => request.fail = true,
                Arg::Short('s') | Arg::Long("silent") => request.silent = true,
                Arg::Short('S') | Arg::Long("show-error") => request.show_errors = true,
                Arg::Short('m') | Arg::Long("max-time") => {
                    request.seconds = Some(parser.value()?.parse()?);
                }
                Arg::Long("url") => request.urls.push(parser.value()?.string()?),
                Arg::Long("help") => request.help = true,
                Arg::Value(url) => request.urls.push(url.string()?),
                other => return Err(other.unexpected().into()),
            }
        }
        request.complete()
    }

    /// wget's command line, without the program's name.
    pub(crate) fn wget(args: Vec<OsString>) -> Result<Self, RequestError> {
        use lexopt::ValueExt as _;
        let mut request = Self {
            target: Target::OwnName,
            follow: true,
            fail: true,
            ..Self::default()
        };
        let mut parser = lexopt::Parser::from_args(args);
        while let Some(arg) = parser.next()? {
            match arg {
                Arg::Short('O') | Arg::Long("output-document") => {
                    let file = parser.value()?;
                    request.target = if file == "-" {
                        Target::Output
                    } else {
                        Target::File(file.into())
                    };
                }
                Arg::Short('q') | Arg::Long("quiet") => request.silent = true,
                Arg::Long("header") => request.header(&parser.value()?.string()?)?,
                Arg::Long("post-data") => {
                    request.data = Some(Data::Text(parser.value()?.string()?));
                }
                Arg::Short('T') | Arg::Long("timeout") => {
                    request.seconds = Some(parser.value()?.parse()?);
                }
                Arg::Long("help") => request.help = true,
                Arg::Value(url) => request.urls.push(url.string()?),
                other => return Err(other.unexpected().into()),
            }
        }
        request.complete()
    }

    fn header(&mut self, line: &str) -> Result<(), RequestError> {
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| RequestError::Header(line.to_owned()))?;
        self.headers
            .push((name.trim().to_owned(), value.trim().to_owned()));
        Ok(())
    }

    fn complete(mut self) -> Result<Self, RequestError> {
        if self.urls.is_empty() && !self.help {
            return Err(RequestError::NoUrl);
        }
        for url in &mut self.urls {
            // As people type them.
            if !url.contains("://") {
                url.insert_str(0, "http://");
            }
        }
        Ok(self)
    }

    /// The method: what is asked for, or what the other options mean.
    pub(crate) fn method(&self) -> &str {
        match &self.method {
            Some(method) => method,
            None if self.head_only => "HEAD",
            None if self.data.is_some() => "POST",
            None => "GET",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curl(line: &str) -> Result<Request, RequestError> {
        Request::curl(line.split(' ').map(OsString::from).collect())
    }

    #[test]
    fn curls_options_are_understood() {
        let request = curl("-sfL -H a:b -o f -d @g host/x").unwrap();
        assert_eq!(request.urls, ["http://host/x"]);
        assert!(request.silent && request.fail && request.follow);
        assert_eq!(request.headers, [("a".to_owned(), "b".to_owned())]);
        assert_eq!(request.target, Target::File("f".into()));
        assert_eq!(request.data, Some(Data::File("g".into())));
        assert_eq!(request.method(), "POST");
        assert_eq!(curl("-I u").unwrap().method(), "HEAD");
        assert_eq!(curl("-X PUT -d a u").unwrap().method(), "PUT");
    }

    #[test]
    fn wget_follows_and_names_the_file_itself() {
        let request = Request::wget(vec!["u".into()]).unwrap();
        assert_eq!((request.target, request.follow), (Target::OwnName, true));
        let request = Request::wget(vec!["-qO-".into(), "u".into()]).unwrap();
        assert_eq!(request.target, Target::Output);
    }

    #[test]
    fn what_is_missing_is_said() {
        assert!(matches!(curl("-s"), Err(RequestError::NoUrl)));
        assert!(matches!(curl("-H x u"), Err(RequestError::Header(_))));
        assert!(curl("--nothing u").is_err());
    }
}

//! `tar`: makes, lists and unpacks archives, also gzipped ones, over the crates tar and flate2. Nothing is written outside the
//! folder it unpacks into, whatever an archive says.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Component, Path, PathBuf};

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use lexopt::{Arg, ValueExt as _};
use tar::{Archive, Builder, Entry};

use crate::{complain, describe};

const HELP: &str = "\
Usage: tar -c|-x|-t [-vzf FILE] [-C FOLDER] [NAME]...

  -c, --create       make an archive of the named files and folders
  -x, --extract      unpack
  -t, --list         list
  -f, --file FILE    the archive; - is standard input or output
  -z, --gzip         compress (what is compressed is noticed when it is read)
  -v, --verbose      name what is packed and unpacked
  -C, --directory D  work in this folder
      --strip-components N  leave out the first N parts of each name
";
const USAGE_FAILED: i32 = 2;
/// How a gzipped file begins. RFC 1952.
const GZIP: [u8; 2] = [0x1f, 0x8b];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Action {
    Create,
    Extract,
    List,
}

#[derive(Debug, Default)]
struct Options {
    action: Option<Action>,
    archive: Option<PathBuf>,
    gzip: bool,
    verbose: bool,
    folder: PathBuf,
    strip: usize,
    names: Vec<PathBuf>,
    help: bool,
}

/// Why an archive could not be made or read.
#[derive(Debug, thiserror::Error)]
enum ArchiveError {
    #[error("{0}")]
    Syntax(#[from] lexopt::Error),
    #[error("one of -c, -x and -t has to say what to do")]
    NoAction,
    #[error("-c needs names of what to pack")]
    NothingToPack,
    #[error("cannot open {}", path.display())]
    Open {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot pack {}", path.display())]
    Pack {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot read the archive")]
    Read(#[source] io::Error),
    #[error("cannot write the archive")]
    Write(#[source] io::Error),
    #[error("cannot unpack {}", path.display())]
    Unpack {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} leads out of the folder and is left out", path.display())]
    Outside { path: PathBuf },
}

pub(crate) fn run(mut args: Vec<OsString>) -> i32 {
    args.remove(0);
    let result = parse(args).and_then(|options| {
        if options.help {
            // A closed pipe is the reader's wish.
            let _ = io::stdout().write_all(HELP.as_bytes());
            return Ok(0);
        }
        match options.action.ok_or(ArchiveError::NoAction)? {
            Action::Create => create(&options),
            action => read(&options, action),
        }
    });
    result.unwrap_or_else(|error| {
        let is_usage = matches!(
            error,
            ArchiveError::Syntax(_) | ArchiveError::NoAction | ArchiveError::NothingToPack
        );
        let code = if is_usage { USAGE_FAILED } else { 1 };
        complain(&format!("tar: {}", describe(&error)), code)
    })
}

fn parse(mut args: Vec<OsString>) -> Result<Options, ArchiveError> {
    // As everybody writes it: `tar xzf FILE`.
    if let Some(first) = args.first().and_then(|arg| arg.to_str())
        && !first.starts_with('-')
    {
        args[0] = format!("-{first}").into();
    }
    let mut options = Options::default();
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('c') | Arg::Long("create") => options.action = Some(Action::Create),
            Arg::Short('x') | Arg::Long("extract" | "get") => {
                options.action = Some(Action::Extract)
            }
            Arg::Short('t') | Arg::Long("list") => options.action = Some(Action::List),
            Arg::Short('f') | Arg::Long("file") => options.archive = Some(parser.value()?.into()),
            Arg::Short('z') | Arg::Long("gzip") => options.gzip = true,
            Arg::Short('v') | Arg::Long("verbose") => options.verbose = true,
            // Always so.
            Arg::Short('p') | Arg::Long("preserve-permissions" | "no-same-owner") => {}
            Arg::Short('C') | Arg::Long("directory") => options.folder = parser.value()?.into(),
            Arg::Long("strip-components") => options.strip = parser.value()?.parse()?,
            Arg::Long("help") => options.help = true,
            Arg::Value(name) => options.names.push(name.into()),
            other => return Err(other.unexpected().into()),
        }
    }
    if options.folder.as_os_str().is_empty() {
        options.folder = ".".into();
    }
    Ok(options)
}

fn is_standard(archive: Option<&Path>) -> bool {
    archive.is_none_or(|path| path == Path::new("-"))
}

fn create(options: &Options) -> Result<i32, ArchiveError> {
    if options.names.is_empty() {
        return Err(ArchiveError::NothingToPack);
    }
    let path = options.archive.clone().unwrap_or_default();
    let output: Box<dyn Write> = if is_standard(options.archive.as_deref()) {
        Box::new(io::stdout().lock())
    } else {
        Box::new(File::create(&path).map_err(|source| ArchiveError::Open { path, source })?)
    };
    let output = BufWriter::new(output);
    let output = if options.gzip {
        let output = pack(options, GzEncoder::new(output, Compression::default()))?;
        output.finish().map_err(ArchiveError::Write)?
    } else {
        pack(options, output)?
    };
    output
        .into_inner()
        .map_err(|error| ArchiveError::Write(error.into_error()))?;
    Ok(0)
}

fn pack<W: Write>(options: &Options, output: W) -> Result<W, ArchiveError> {
    let mut builder = Builder::new(output);
    builder.follow_symlinks(false);
    let mut waiting: Vec<PathBuf> = options.names.iter().rev().cloned().collect();
    while let Some(name) = waiting.pop() {
        let path = options.folder.join(&name);
        let failed = |source| ArchiveError::Pack {
            path: path.clone(),
            source,
        };
        let metadata = fs::symlink_metadata(&path).map_err(failed)?;
        // Names in an archive are relative: it may be unpacked anywhere.
        let mut inside: PathBuf = name
            .components()
            .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir))
            .collect();
        if metadata.is_dir() && !inside.as_os_str().is_empty() {
            // A slash at the end says that it is a folder.
            inside.push("");
        }
        if options.verbose {
            narrate(options, &inside.to_string_lossy());
        }
        if !inside.as_os_str().is_empty() {
            builder
                .append_path_with_name(&path, &inside)
                .map_err(failed)?;
        }
        if metadata.is_dir() {
            let entries = fs::read_dir(&path).map_err(failed)?;
            let mut below = Vec::new();
            for entry in entries {
                below.push(name.join(entry.map_err(failed)?.file_name()));
            }
            // The same folder makes the same archive.
            below.sort_by(|a, b| b.cmp(a));
            waiting.append(&mut below);
        }
    }
    builder.into_inner().map_err(ArchiveError::Write)
}

fn read(options: &Options, action: Action) -> Result<i32, ArchiveError> {
    let path = options.archive.clone().unwrap_or_default();
    let input: Box<dyn Read> = if is_standard(options.archive.as_deref()) {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(&path).map_err(|source| ArchiveError::Open { path, source })?)
    };
    let mut input = BufReader::new(input);
    let begin = io::BufRead::fill_buf(&mut input).map_err(ArchiveError::Read)?;
    if begin.starts_with(&GZIP) {
        entries(options, action, MultiGzDecoder::new(input))
    } else {
        entries(options, action, input)
    }
}

fn entries(options: &Options, action: Action, input: impl Read) -> Result<i32, ArchiveError> {
    let mut archive = Archive::new(input);
    archive.set_preserve_permissions(true);
    archive.set_overwrite(true);
    let mut code = 0;
    // A folder that may not be written to gets its mode when all that is in it is there.
    let mut folders = Vec::new();
    for entry in archive.entries().map_err(ArchiveError::Read)? {
        let mut entry = entry.map_err(ArchiveError::Read)?;
        let name = entry.path().map_err(ArchiveError::Read)?.into_owned();
        if !is_wanted(&name, &options.names) {
            continue;
        }
        if action == Action::List {
            let line = if options.verbose {
                long(&entry, &name)
            } else {
                name.display().to_string()
            };
            // A closed pipe is the reader's wish.
            let _ = writeln!(io::stdout(), "{line}");
            continue;
        }
        if options.verbose {
            narrate(options, &name.to_string_lossy());
        }
        if entry.header().entry_type().is_dir() {
            folders.push(entry);
        } else if let Err(error) = unpack(options, &mut entry, &name) {
            code = complain(&format!("tar: {}", describe(&error)), 1);
        }
    }
    folders.sort_by_key(|entry| std::cmp::Reverse(entry.path_bytes().into_owned()));
    for mut entry in folders {
        let name = entry.path().map_err(ArchiveError::Read)?.into_owned();
        if let Err(error) = unpack(options, &mut entry, &name) {
            code = complain(&format!("tar: {}", describe(&error)), 1);
        }
    }
    Ok(code)
}

fn is_wanted(name: &Path, names: &[PathBuf]) -> bool {
    names.is_empty() || names.iter().any(|wanted| name.starts_with(wanted))
}

fn unpack(
    options: &Options,
    entry: &mut Entry<'_, impl Read>,
    name: &Path,
) -> Result<(), ArchiveError> {
    let failed = |source| ArchiveError::Unpack {
        path: name.to_owned(),
        source,
    };
    let outside = || ArchiveError::Outside {
        path: name.to_owned(),
    };
    if options.strip == 0 {
        // The crate looks at every part of the path: `..`, and links that lead out.
        let is_inside = entry.unpack_in(&options.folder).map_err(failed)?;
        return if is_inside { Ok(()) } else { Err(outside()) };
    }
    let parts: Vec<Component<'_>> = name.components().skip(options.strip).collect();
    if parts.is_empty() {
        return Ok(());
    }
    if !parts
        .iter()
        .all(|part| matches!(part, Component::Normal(_)))
    {
        return Err(outside());
    }
    // A link's target would have to be stripped too, and then judged; packages have none.
    let kind = entry.header().entry_type();
    if !kind.is_file() && !kind.is_dir() {
        return Err(outside());
    }
    let target = options.folder.join(parts.iter().collect::<PathBuf>());
    let parent = target.parent().unwrap_or(&options.folder);
    fs::create_dir_all(parent).map_err(failed)?;
    let real = parent.canonicalize().map_err(failed)?;
    if !real.starts_with(options.folder.canonicalize().map_err(failed)?) {
        return Err(outside());
    }
    entry.unpack(&target).map_err(failed)?;
    Ok(())
}

/// A line of `tar tv`.
fn long(entry: &Entry<'_, impl Read>, name: &Path) -> String {
    let header = entry.header();
    let kind = match header.entry_type() {
        kind if kind.is_dir() => 'd',
        kind if kind.is_symlink() => 'l',
        kind if kind.is_hard_link() => 'h',
        _ => '-',
    };
    let mode = header.mode().unwrap_or(0);
    let letters: String = (0..9)
        .map(|bit| {
            if mode >> (8 - bit) & 1 == 1 {
                ['r', 'w', 'x'][bit % 3]
            } else {
                '-'
            }
        })
        .collect();
    let (uid, gid) = (header.uid().unwrap_or(0), header.gid().unwrap_or(0));
    let link = entry.link_name().ok().flatten();
    let link = link.map_or_else(String::new, |link| format!(" -> {}", link.display()));
    format!(
        "{kind}{letters} {uid}/{gid} {:>10} {}{link}",
        entry.size(),
        name.display()
    )
}

/// With an archive on standard output, what is said goes elsewhere.
fn narrate(options: &Options, name: &str) {
    let is_piped =
        options.action == Some(Action::Create) && is_standard(options.archive.as_deref());
    // Narration that nobody can read is no reason to stop.
    let _ = if is_piped {
        writeln!(io::stderr(), "{name}")
    } else {
        writeln!(io::stdout(), "{name}")
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_understood_with_and_without_dash() {
        for line in [
            "xzvf a.tgz -C d n",
            "-xzv -f a.tgz -C d n",
            "--extract -zvfa.tgz --directory=d n",
        ] {
            let options = parse(line.split(' ').map(OsString::from).collect()).unwrap();
            assert_eq!(options.action, Some(Action::Extract), "{line}");
            assert_eq!(options.archive, Some("a.tgz".into()), "{line}");
            assert_eq!(options.folder, Path::new("d"), "{line}");
            assert_eq!(options.names, [Path::new("n")], "{line}");
        }
        assert!(parse(vec!["-Q".into()]).is_err());
    }
}

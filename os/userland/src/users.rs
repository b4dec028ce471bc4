//! `users`: which users there are, and how they log in.

use std::path::PathBuf;

use lexopt::Arg;
use nodeos_accounts::accounts::{self, Access, User};
use serde_json::json;

use crate::applet::{Call, DONE, Stop};
use crate::homes;

pub(crate) const HELP: &str = "\
Usage: users [OPTION]...

Lists the users: name, number, and how they log in. Who may not look into the homes sees the names only.

Options:
  --json          Print JSON
  --homes FOLDER  Where the homes are, instead of /home
  --help          Show this
";

pub(crate) fn run(call: &mut Call<'_>) -> Result<u8, Stop> {
    let mut parser = call.parser();
    let mut as_json = false;
    let mut folder: PathBuf = homes::default_folder();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") => return Err(Stop::Help),
            Arg::Long("json") => as_json = true,
            Arg::Long("homes") => folder = parser.value()?.into(),
            option => return Err(option.unexpected().into()),
        }
    }
    let users = accounts::list(&folder).map_err(homes::failed)?;
    if as_json {
        let users: Vec<_> = users.iter().map(in_json).collect();
        writeln!(call.out, "{:#}", json!(users))?;
    } else {
        write!(call.out, "{}", table(&users))?;
    }
    Ok(DONE)
}

fn table(users: &[User]) -> String {
    // A name on an old partition may be anything that a folder's can.
    let names: Vec<String> = users
        .iter()
        .map(|user| plain(&user.name.to_string_lossy()))
        .collect();
    let width = names.iter().map(|name| name.chars().count()).max();
    let width = width.unwrap_or(0).max("NAME".len());
    let mut text = format!("{:width$}  {:>10}  LOGIN\n", "NAME", "NUMBER");
    for (user, name) in users.iter().zip(names) {
        let (uid, login) = (user.owner.uid, login(&user.access));
        text.push_str(&format!("{name:width$}  {uid:>10}  {login}\n"));
    }
    text
}

fn login(access: &Access) -> String {
    match access {
        Access::Password => "password".to_owned(),
        Access::NoPassword => "no password needed".to_owned(),
        Access::NonInteractive => "nobody".to_owned(),
        Access::Locked => "locked".to_owned(),
        Access::Unknown(error) => format!("unknown: {}", plain(&error.to_string())),
    }
}

fn in_json(user: &User) -> serde_json::Value {
    let (access, reason) = match &user.access {
        Access::Password => ("password", None),
        Access::NoPassword => ("no-password", None),
        Access::NonInteractive => ("non-interactive", None),
        Access::Locked => ("locked", None),
        Access::Unknown(error) => ("unknown", Some(error.to_string())),
    };
    json!({
        "name": user.name.to_string_lossy(),
        "uid": user.owner.uid,
        "gid": user.owner.gid,
        "access": access,
        "reason": reason,
    })
}

fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use nodeos_accounts::home::Owner;

    use super::*;

    #[test]
    fn the_list_is_a_table() {
        let user = |name: &str, uid: u32, access: Access| User {
            name: name.into(),
            owner: Owner { uid, gid: uid },
            access,
        };
        let users = [
            user("a\nb", 1, Access::Locked),
            user("ada", 1000, Access::Password),
            user("nodeos", 1001, Access::NoPassword),
        ];
        let expected = "\
NAME        NUMBER  LOGIN
a?b              1  locked
ada           1000  password
nodeos        1001  no password needed
";
        assert_eq!(table(&users), expected);
    }
}

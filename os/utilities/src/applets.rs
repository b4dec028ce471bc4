//! The table of applets: which name is which program. The image's links are made from it.

use std::ffi::OsString;

use crate::{curl, dmesg, editor, free, kept, pager, processes, tar};

/// Takes the arguments with the applet's name first, and returns the exit code.
pub type Main = fn(Vec<OsString>) -> i32;

/// One command.
#[derive(Clone, Copy, Debug)]
pub struct Applet {
    pub name: &'static str,
    pub main: Main,
}

const fn applet(name: &'static str, main: Main) -> Applet {
    Applet { name, main }
}

/// A command of uutils' coreutils.
macro_rules! coreutils {
    ($name:literal, $library:ident) => {
        applet($name, |args| {
            kept::coreutils(stringify!($library), args, |args| {
                $library::uumain(args.into_iter())
            })
        })
    };
}

/// Every applet, in the order of their names.
pub const APPLETS: &[Applet] = &[
    coreutils!("[", uu_test),
    coreutils!("arch", uu_arch),
    coreutils!("b2sum", uu_b2sum),
    coreutils!("base32", uu_base32),
    coreutils!("base64", uu_base64),
    coreutils!("basename", uu_basename),
    coreutils!("basenc", uu_basenc),
    coreutils!("cat", uu_cat),
    coreutils!("chgrp", uu_chgrp),
    coreutils!("chmod", uu_chmod),
    coreutils!("chown", uu_chown),
    coreutils!("chroot", uu_chroot),
    coreutils!("cksum", uu_cksum),
    applet("cmp", kept::cmp),
    coreutils!("comm", uu_comm),
    coreutils!("cp", uu_cp),
    coreutils!("csplit", uu_csplit),
    applet("curl", curl::run),
    coreutils!("cut", uu_cut),
    coreutils!("date", uu_date),
    coreutils!("dd", uu_dd),
    coreutils!("df", uu_df),
    applet("diff", kept::diff),
    coreutils!("dir", uu_dir),
    coreutils!("dircolors", uu_dircolors),
    coreutils!("dirname", uu_dirname),
    applet("dmesg", dmesg::run),
    coreutils!("du", uu_du),
    coreutils!("echo", uu_echo),
    applet("edit", editor::run),
    applet("egrep", kept::egrep),
    coreutils!("env", uu_env),
    coreutils!("expand", uu_expand),
    coreutils!("expr", uu_expr),
    coreutils!("factor", uu_factor),
    coreutils!("false", uu_false),
    applet("fgrep", kept::fgrep),
    applet("find", kept::find),
    coreutils!("fmt", uu_fmt),
    coreutils!("fold", uu_fold),
    applet("free", free::run),
    applet("grep", kept::grep),
    coreutils!("groups", uu_groups),
    coreutils!("head", uu_head),
    coreutils!("hostname", uu_hostname),
    coreutils!("id", uu_id),
    coreutils!("install", uu_install),
    coreutils!("join", uu_join),
    coreutils!("kill", uu_kill),
    applet("less", pager::run),
    coreutils!("link", uu_link),
    coreutils!("ln", uu_ln),
    coreutils!("logname", uu_logname),
    coreutils!("ls", uu_ls),
    coreutils!("md5sum", uu_md5sum),
    coreutils!("mkdir", uu_mkdir),
    coreutils!("mkfifo", uu_mkfifo),
    coreutils!("mktemp", uu_mktemp),
    coreutils!("more", uu_more),
    coreutils!("mv", uu_mv),
    coreutils!("nice", uu_nice),
    coreutils!("nl", uu_nl),
    coreutils!("nohup", uu_nohup),
    coreutils!("nproc", uu_nproc),
    coreutils!("numfmt", uu_numfmt),
    coreutils!("od", uu_od),
    coreutils!("paste", uu_paste),
    coreutils!("pathchk", uu_pathchk),
    applet("pgrep", processes::pgrep),
    applet("pkill", processes::pkill),
    coreutils!("pr", uu_pr),
    coreutils!("printenv", uu_printenv),
    coreutils!("printf", uu_printf),
    applet("ps", processes::ps),
    coreutils!("ptx", uu_ptx),
    coreutils!("pwd", uu_pwd),
    coreutils!("readlink", uu_readlink),
    coreutils!("realpath", uu_realpath),
    coreutils!("rm", uu_rm),
    coreutils!("rmdir", uu_rmdir),
    applet("sed", kept::sed),
    coreutils!("seq", uu_seq),
    coreutils!("sha1sum", uu_sha1sum),
    coreutils!("sha224sum", uu_sha224sum),
    coreutils!("sha256sum", uu_sha256sum),
    coreutils!("sha384sum", uu_sha384sum),
    coreutils!("sha512sum", uu_sha512sum),
    coreutils!("shred", uu_shred),
    coreutils!("shuf", uu_shuf),
    coreutils!("sleep", uu_sleep),
    coreutils!("sort", uu_sort),
    coreutils!("split", uu_split),
    coreutils!("stat", uu_stat),
    coreutils!("stty", uu_stty),
    coreutils!("sum", uu_sum),
    coreutils!("sync", uu_sync),
    coreutils!("tac", uu_tac),
    coreutils!("tail", uu_tail),
    applet("tar", tar::run),
    coreutils!("tee", uu_tee),
    coreutils!("test", uu_test),
    coreutils!("timeout", uu_timeout),
    coreutils!("touch", uu_touch),
    coreutils!("tr", uu_tr),
    coreutils!("true", uu_true),
    coreutils!("truncate", uu_truncate),
    coreutils!("tsort", uu_tsort),
    coreutils!("tty", uu_tty),
    coreutils!("uname", uu_uname),
    coreutils!("unexpand", uu_unexpand),
    coreutils!("uniq", uu_uniq),
    coreutils!("unlink", uu_unlink),
    coreutils!("uptime", uu_uptime),
    coreutils!("users", uu_users),
    coreutils!("vdir", uu_vdir),
    coreutils!("wc", uu_wc),
    applet("wget", curl::run),
    coreutils!("who", uu_who),
    coreutils!("whoami", uu_whoami),
    applet("xargs", kept::xargs),
    coreutils!("yes", uu_yes),
];

/// The applet of this name.
#[must_use]
pub fn find(name: &str) -> Option<Applet> {
    let index = APPLETS
        .binary_search_by(|applet| applet.name.cmp(name))
        .ok()?;
    Some(APPLETS[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_names_nothing_twice() {
        assert!(APPLETS.windows(2).all(|pair| pair[0].name < pair[1].name));
    }
}

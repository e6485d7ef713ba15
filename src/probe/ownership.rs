//! Whose program it is: only what root or our own user alone can change is run.
//!
//! As ssh does it: the file and every folder above it must belong to root or to us and be writable by
//! nobody else. A sticky folder such as `/tmp` passes, since the entry below it is checked as well.
//! The same holds for every link on the way and the folder it lies in: who can turn a link elsewhere
//! decides what is run, and a harmless program of root's in the wrong place is harm enough.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
};

/// Links on the way to a file; the kernel follows as many.
const MAX_LINKS: usize = 40;

const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// Checks a file or folder, an absolute path, and everything on the way to it.
pub fn check_way(path: &Path) -> Result<(), String> {
    let us = Us::now();
    let mut here = PathBuf::from("/");
    let mut to_go: Vec<OsString> = parts(path);
    let mut checked = BTreeSet::new();
    let mut links = 0;
    check_one(&here, &us)?;
    while let Some(part) = to_go.pop() {
        if part == ".." {
            here.pop();
            continue;
        }
        here.push(part);
        if !checked.insert(here.clone()) {
            continue;
        }
        if check_one(&here, &us)?.is_symlink() {
            links += 1;
            let target = match fs::read_link(&here) {
                Ok(target) if links <= MAX_LINKS => target,
                Ok(_) => return Err(format!("`{}` leads through too many links", path.display())),
                Err(error) => return Err(unseen(&here, &error)),
            };
            // A link is passed again when another one leads over it.
            checked.remove(&here);
            match target.is_absolute() {
                true => here = "/".into(),
                false => {
                    here.pop();
                }
            }
            to_go.extend(parts(&target));
        }
    }
    Ok(())
}

/// The names in a path, the last one first; `..` is one of them.
fn parts(path: &Path) -> Vec<OsString> {
    let names = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    let mut names: Vec<OsString> = names.collect();
    names.reverse();
    names
}

/// Checks what lies at this path itself, be it a link.
fn check_one(path: &Path, us: &Us) -> Result<fs::FileType, String> {
    let metadata = fs::symlink_metadata(path).map_err(|error| unseen(path, &error))?;
    judge(&metadata, us).map_err(|why| format!("`{}` {why}", path.display()))?;
    Ok(metadata.file_type())
}

fn unseen(path: &Path, error: &std::io::Error) -> String {
    format!("`{}` cannot be looked at: {error}", path.display())
}

/// Checks what is known of a file already.
pub fn check_metadata(path: &Path, metadata: &fs::Metadata) -> Result<(), String> {
    judge(metadata, &Us::now()).map_err(|why| format!("`{}` {why}", path.display()))
}

/// Who we are.
struct Us {
    user: u32,
}

impl Us {
    fn now() -> Us {
        Us { user: rustix::process::geteuid().as_raw() }
    }
}

fn judge(metadata: &fs::Metadata, us: &Us) -> Result<(), String> {
    let (owner, mode) = (metadata.uid(), metadata.mode());
    if owner != 0 && owner != us.user {
        return Err(format!(
            "belongs to user {owner}, who could change it: give it to root or to the agent's user \
             (chown)"
        ));
    }
    // The mode of a link means nothing.
    if metadata.is_symlink() || (metadata.is_dir() && mode & STICKY != 0) {
        return Ok(());
    }
    if mode & OTHERS_WRITE != 0 {
        return Err("may be written by everybody: take that away (chmod o-w)".into());
    }
    if mode & GROUP_WRITES != 0 && !is_private_group(metadata.gid(), us.user) {
        return Err(format!(
            "may be written by group {}: take that away (chmod g-w)",
            metadata.gid()
        ));
    }
    Ok(())
}

/// Whether nobody but root or `user` is in this group, as with the groups that Debian makes for each user.
fn is_private_group(group: u32, user: u32) -> bool {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    is_private(group, user, &passwd, &groups)
}

fn is_private(group: u32, user: u32, passwd: &str, groups: &str) -> bool {
    let number = |field: Option<&str>| field.and_then(|field| field.parse::<u32>().ok());
    let mut our_name = None;
    for line in passwd.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let (uid, gid) = (number(fields.get(2).copied()), number(fields.get(3).copied()));
        if uid == Some(user) && our_name.is_none() {
            our_name = fields.first().copied();
        }
        if gid == Some(group) && uid != Some(user) && uid != Some(0) {
            return false;
        }
    }
    let Some(our_name) = our_name else { return false };
    let members = groups.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (number(fields.get(2).copied()) == Some(group))
            .then(|| fields.get(3).copied().unwrap_or(""))
    });
    let is_us = |member: &str| member.is_empty() || member == our_name || member == "root";
    members.is_some_and(|members| members.split(',').all(is_us))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const PASSWD: &str =
        "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/:\nbob:x:1001:1001::/:\ncid:x:1002:100::/:\n";
    const GROUPS: &str =
        "root:x:0:\nann:x:1000:\nbob:x:1001:ann\nusers:x:100:\nwheel:x:10:ann,root\n";

    #[test]
    fn a_private_group_is_one_nobody_else_is_in() {
        assert!(is_private(1000, 1000, PASSWD, GROUPS));
        assert!(is_private(10, 1000, PASSWD, GROUPS));
        assert!(!is_private(1001, 1001, PASSWD, GROUPS), "ann is in bob's group");
        assert!(!is_private(100, 1000, PASSWD, GROUPS), "cid has it as primary group");
        assert!(!is_private(4242, 1000, PASSWD, GROUPS), "an unknown group");
    }

    #[test]
    fn what_others_may_write_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().canonicalize().unwrap().join("probe");
        fs::write(&file, "").unwrap();
        let set = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        set(&file, 0o755);
        set(folder.path(), 0o755);
        assert_eq!(check_way(&file), Ok(()));
        set(&file, 0o757);
        assert!(check_way(&file).unwrap_err().contains("written by everybody"));
        set(&file, 0o755);
        set(folder.path(), 0o777);
        assert!(check_way(&file).unwrap_err().contains("written by everybody"));
        set(folder.path(), 0o1777);
        assert_eq!(check_way(&file), Ok(()));
    }

    #[test]
    fn every_link_on_the_way_lies_where_only_we_can_turn_it() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path().canonicalize().unwrap();
        for folder in ["safe", "open"] {
            fs::create_dir(base.join(folder)).unwrap();
        }
        let file = base.join("safe/probe");
        fs::write(&file, "").unwrap();
        let link = |target: &str, at: &str| {
            std::os::unix::fs::symlink(target, base.join(at)).unwrap();
            base.join(at)
        };
        let hop = link("../safe/probe", "open/hop");
        let start = link("../open/hop", "safe/start");
        let folder = link("../safe/../safe", "open/folder");
        let through = folder.join("probe");
        for way in [&hop, &start, &through] {
            assert_eq!(check_way(way), Ok(()), "{}", way.display());
        }
        let open = fs::Permissions::from_mode(0o777);
        fs::set_permissions(base.join("open"), open).unwrap();
        for way in [&hop, &start, &through] {
            let why = check_way(way).unwrap_err();
            assert!(why.contains("/open` may be written by everybody"), "{why}");
        }
        assert_eq!(check_way(&file), Ok(()));
    }

    #[test]
    fn a_link_to_itself_is_an_error_and_one_used_twice_is_none() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path().canonicalize().unwrap();
        let symlink = std::os::unix::fs::symlink::<PathBuf, PathBuf>;
        symlink("loop".into(), base.join("loop")).unwrap();
        assert!(check_way(&base.join("loop")).unwrap_err().contains("too many links"));
        fs::write(base.join("file"), "").unwrap();
        symlink(".".into(), base.join("here")).unwrap();
        assert_eq!(check_way(&base.join("here/here/file")), Ok(()));
        assert!(check_way(&base.join("gone")).unwrap_err().contains("cannot be looked at"));
    }

    #[test]
    fn what_belongs_to_somebody_else_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("file");
        fs::write(&file, "").unwrap();
        if std::os::unix::fs::chown(&file, Some(4242), None).is_ok() {
            let why = check_way(&file.canonicalize().unwrap()).unwrap_err();
            assert!(why.contains("belongs to user 4242"), "{why}");
        }
    }
}

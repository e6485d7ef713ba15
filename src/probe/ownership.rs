//! Whose program it is: only what root or our own user alone can change is run.
//!
//! As ssh does it: the file and every folder above it must belong to root or to us and be writable by
//! nobody else. A sticky folder such as `/tmp` passes, since the entry below it is checked as well.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// Checks a file or folder and every folder above it. `path` must have no links left in it.
pub fn check_with_parents(path: &Path) -> Result<(), String> {
    path.ancestors().try_for_each(check)
}

/// Checks one file or folder, following links.
pub fn check(path: &Path) -> Result<(), String> {
    let metadata = fs::metadata(path)
        .map_err(|error| format!("`{}` cannot be looked at: {error}", path.display()))?;
    judge(&metadata, &Us::now()).map_err(|why| format!("`{}` {why}", path.display()))
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
    if metadata.is_dir() && mode & STICKY != 0 {
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
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap()
        };
        set(&file, 0o755);
        set(folder.path(), 0o755);
        assert_eq!(check_with_parents(&file), Ok(()));
        set(&file, 0o757);
        assert!(check_with_parents(&file).unwrap_err().contains("written by everybody"));
        set(&file, 0o755);
        set(folder.path(), 0o777);
        assert!(check_with_parents(&file).unwrap_err().contains("written by everybody"));
        set(folder.path(), 0o1777);
        assert_eq!(check_with_parents(&file), Ok(()));
    }
}

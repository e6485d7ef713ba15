//! The table of mounts: which file systems are on disks of this host, each once.

use std::collections::HashSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::super::file::lossy;

/// One file system.
#[derive(Clone, Debug, PartialEq)]
pub struct Mount {
    /// What is mounted, for people; bytes that are not UTF-8 are replaced.
    pub device: String,
    /// Where, as the kernel knows it.
    pub point: PathBuf,
    /// Type, such as `ext4`.
    pub kind: String,
}

/// Types whose data is on another host, or that start a program or a mount when they are asked: the
/// answer may never come, and a process that waits for it cannot even be killed.
const REMOTE: &[&str] = &[
    "9p",
    "acfs",
    "afs",
    "auristorfs",
    "autofs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "davfs",
    "fhgfs",
    "fuse",
    "glusterfs",
    "gpfs",
    "ibrix",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "ocfs2",
    "orangefs",
    "pvfs2",
    "smb3",
    "smbfs",
    "vboxsf",
    "virtiofs",
    "vmhgfs",
];

/// Types that hold no data of anybody, or cannot fill up since nothing can be written.
const WITHOUT_SPACE: &[&str] = &[
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "cramfs",
    "debugfs",
    "devpts",
    "erofs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "ramfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tracefs",
];

/// The local file systems in the text of `/proc/self/mounts`, in its order, that are `wanted`, and of
/// each device only the first.
///
/// A mount that a later one hides is left out: its path leads to the other file system.
pub fn local(table: &[u8], wanted: impl Fn(&Mount) -> bool) -> Vec<Mount> {
    let mounts: Vec<Mount> = table.split(|byte| *byte == b'\n').filter_map(line).collect();
    let mut seen_points = HashSet::new();
    let visible: Vec<bool> = mounts.iter().rev().map(|m| seen_points.insert(&m.point)).collect();
    let mut seen_devices = HashSet::new();
    let first_of_device = mounts.iter().zip(visible.iter().rev()).filter(|(mount, visible)| {
        **visible && is_local(mount) && wanted(mount) && seen_devices.insert(&mount.device)
    });
    first_of_device.map(|(mount, _)| mount.clone()).collect()
}

fn is_local(mount: &Mount) -> bool {
    let kind = mount.kind.as_str();
    // `host:/folder` and `//host/share` are how network file systems name what they mount.
    let named_like_remote = mount.device.contains(':') || mount.device.starts_with("//");
    let remote = REMOTE.contains(&kind) || kind.starts_with("fuse.") || named_like_remote;
    !remote && !WITHOUT_SPACE.contains(&kind)
}

/// `device point type options 0 0`, with blanks inside of names written as `\040`.
fn line(line: &[u8]) -> Option<Mount> {
    let mut words = line.split(|byte| *byte == b' ').map(without_escapes);
    let device = lossy(words.next()?);
    let point = PathBuf::from(OsString::from_vec(words.next()?));
    let kind = lossy(words.next()?);
    (point.is_absolute() && !kind.is_empty()).then_some(Mount { device, point, kind })
}

/// Replaces a backslash and three octal digits by the byte they stand for.
fn without_escapes(word: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((&first, after)) = rest.split_first() {
        match (first, after) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..]) => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = tail;
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
proc /proc proc rw 0 0
/dev/sda1 / ext4 rw 0 0
/dev/sda1 /var/snap ext4 rw 0 0
tmpfs /run tmpfs rw 0 0
files:/export /nfs nfs4 rw 0 0
//files/share /share cifs rw 0 0
user@host:/home /home/u/far fuse.sshfs rw 0 0
/dev/sdb1 /mnt/usb\\040stick\\011x\\134 vfat rw 0 0
/dev/sdc1 /data xfs rw 0 0
/dev/sdd1 /data xfs rw 0 0
/dev/sde1 /win fuseblk rw 0 0
/dev/loop0 /snap/core/1 squashfs ro 0 0
broken
none relative tmpfs rw 0 0
";

    #[test]
    fn local_visible_and_each_device_once() {
        let mounts = local(TABLE.as_bytes(), |_| true);
        let found: Vec<_> =
            mounts.iter().map(|m| (m.device.as_str(), m.point.to_str().unwrap())).collect();
        assert_eq!(
            found,
            [
                ("/dev/sda1", "/"),
                ("tmpfs", "/run"),
                ("/dev/sdb1", "/mnt/usb stick\tx\\"),
                ("/dev/sdd1", "/data"),
                ("/dev/sde1", "/win"),
            ]
        );
    }

    proptest::proptest! {
        #[test]
        fn every_mount_of_any_table_can_be_asked(table in r"([ \n/\\a0-9\xff:]{0,40})") {
            for mount in local(table.as_bytes(), |_| true) {
                assert!(mount.point.is_absolute());
            }
        }
    }

    #[test]
    fn an_unwanted_mount_does_not_stand_for_its_device() {
        let mounts = local(TABLE.as_bytes(), |mount| mount.point.as_os_str() != "/");
        assert_eq!(mounts[0].point.as_os_str(), "/var/snap");
    }

    #[test]
    fn names_may_hold_any_byte() {
        let mounts = local(b"/dev/x /mnt/\\377\\000y\xe9 ext4 rw 0 0", |_| true);
        assert_eq!(mounts[0].point.as_os_str().as_encoded_bytes(), b"/mnt/\xff\0y\xe9");
        assert_eq!(without_escapes(b"a\\04"), b"a\\04");
        assert_eq!(without_escapes(b"\\477\\"), b"\\477\\");
    }
}

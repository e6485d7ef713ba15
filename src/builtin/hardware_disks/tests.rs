use super::*;

const GIB: u64 = 1 << 30;

fn mount(device: &str, point: &str, kind: &str) -> Mount {
    Mount { device: device.into(), point: point.into(), kind: kind.into() }
}

/// A file system of 100 GiB and 1000 inodes, with so many of each in use.
fn usage(gib: u64, inodes: u64) -> Usage {
    Usage {
        size: 100 * GIB,
        used: gib * GIB,
        free: (100 - gib) * GIB,
        inodes_used: inodes,
        inodes_free: 1000 - inodes,
    }
}

fn settings(text: &str) -> Settings {
    serde_json::from_str(text).unwrap()
}

fn check(settings: &Settings, disks: &[(&str, &str, Usage)]) -> Answer {
    let measured = disks.iter().map(|(d, p, usage)| (mount(d, p, "ext4"), Ok(Some(*usage))));
    judge(measured, settings)
}

#[test]
fn the_shipped_file_says_the_defaults() {
    crate::builtin::settings::assert_shipped_is_default::<Settings>("hardware_disks");
}

#[test]
fn levels_are_exceeded_not_reached() {
    let status =
        |gib| check(&Settings::default(), &[("/dev/a", "/", usage(gib, 0))]).status().number();
    assert_eq!([80, 81, 95, 96].map(status), [100, 250, 250, 300]);
}

#[test]
fn the_worst_one_is_in_the_message() {
    let disks = [
        ("/dev/a", "/", usage(85, 0)),
        ("/dev/b", "/var", usage(97, 0)),
        ("/dev/c", "/c", usage(10, 0)),
    ];
    let answer = check(&Settings::default(), &disks);
    assert_eq!(answer.message(), "97% of `/dev/b` on `/var` used, 3.0G free");
    assert_eq!(answer.detail("/dev/a").unwrap()["Size"], "100G");
    assert_eq!(answer.detail("/dev/a").unwrap()["Percentage"], 85);
    assert_eq!(answer.detail("/dev/a").unwrap()["MountPoint"], "/");
    assert_eq!(answer.metrics().len(), 6);
    assert_eq!(answer.metrics()[2]["Tags"], json!({"Partition": "/dev/b", "MountPoint": "/var"}));
    assert_eq!(answer.metrics()[2]["Value"], 97);
}

#[test]
fn inodes_run_out_on_their_own() {
    let disk = [("/dev/a", "/", usage(10, 960))];
    let answer = check(&Settings::default(), &disk);
    assert_eq!(answer.status(), Status::CRIT);
    assert_eq!(answer.message(), "96% of the inodes of `/dev/a` on `/` used, 40 free");
    assert_eq!(answer.metrics()[1]["Tags"]["metric"], "inodes");
    let lenient = settings(r#"{"inodeWarnLevel": 99, "inodeCritLevel": 99}"#);
    assert_eq!(check(&lenient, &disk).status(), Status::OK);
}

#[test]
fn a_file_system_without_inodes_has_no_metric_for_them() {
    let btrfs = Usage { inodes_used: 0, inodes_free: 0, ..usage(10, 0) };
    assert_eq!(check(&Settings::default(), &[("/dev/a", "/", btrfs)]).metrics().len(), 1);
}

#[test]
fn overrides_are_by_device_or_mount_point() {
    let settings = settings(
        r#"{"levelOverrides": {"/dev/big": {"warnLevel": 95, "critLevel": 98}, "/mnt/tight": {"warnLevel": 50},
            "/dev/x": {"inodeWarnLevel": 10}}}"#,
    );
    let status = |device, point, gib| {
        check(&settings, &[(device, point, usage(gib, 200))]).status().number()
    };
    assert_eq!(status("/dev/big", "/", 94), 100);
    assert_eq!(status("/dev/big", "/", 97), 250);
    assert_eq!(status("/dev/big", "/mnt/tight", 60), 250);
    assert_eq!(status("/dev/a", "/mnt/tight", 96), 300);
    assert_eq!(status("/dev/x", "/", 5), 250);
    assert_eq!(status("/dev/a", "/", 60), 100);
}

#[test]
fn exclusions_match_whole_names_of_device_point_or_type() {
    let excluded = |device, point, kind| Settings::default().excludes(&mount(device, point, kind));
    assert!(excluded("/dev/loop3", "/x", "ext4"));
    assert!(excluded("/dev/sda", "/snap/core/1", "ext4"));
    assert!(excluded("shm", "/run/shm", "tmpfs"));
    assert!(!excluded("/dev/sda", "/data/snap/x", "ext4"));
    assert!(!excluded("/dev/mapper/none", "/", "ext4"));
}

#[test]
fn a_disk_that_gives_an_error_is_critical_and_others_are_still_measured() {
    let measured = [
        (mount("/dev/bad", "/bad", "ext4"), Err(Errno::IO)),
        (mount("/dev/gone", "/gone", "ext4"), Ok(None)),
        (mount("/dev/a", "/", "ext4"), Ok(Some(usage(99, 0)))),
    ];
    let answer = judge(measured.into_iter(), &Settings::default());
    assert_eq!(answer.status(), Status::CRIT);
    assert!(
        answer.message().starts_with("cannot read `/dev/bad` on `/bad`"),
        "{}",
        answer.message()
    );
    assert!(answer.detail("/dev/bad").unwrap()["Error"].is_string());
    assert_eq!(answer.detail("/dev/gone"), None);
    assert_eq!(answer.metrics().len(), 2);
}

#[test]
fn no_file_system_is_not_an_error() {
    let answer = check(&Settings::default(), &[]);
    assert_eq!((answer.status(), answer.message()), (Status::OK, "no local file system found"));
}

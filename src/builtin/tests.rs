use std::os::unix::fs::symlink;

use super::*;

fn name_of(probe: Probe) -> &'static str {
    PROBES.iter().find(|(_, known)| std::ptr::fn_addr_eq(*known, probe)).unwrap().0
}

#[test]
fn a_name_is_looked_for_along_the_links() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("60")).unwrap();
    fs::create_dir(path("examples")).unwrap();
    symlink("wigo-probe", path("examples/hardware_disks")).unwrap();
    symlink("../examples/hardware_disks", path("60/my_disks")).unwrap();
    symlink(path("60/my_disks"), path("60/other")).unwrap();

    for name in ["examples/hardware_disks", "60/my_disks", "60/other"] {
        let call = Call::from_path(&path(name)).unwrap();
        assert_eq!(name_of(call.probe), "hardware_disks", "{name}");
        assert_eq!(call.name, name.split_once('/').unwrap().1);
    }
}

#[test]
fn what_leads_to_no_probe_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    symlink("wigo-probe", path("unknown")).unwrap();
    symlink("loop", path("loop")).unwrap();
    for name in ["unknown", "loop", "missing", ".."] {
        assert!(Call::from_path(&path(name)).is_none(), "{name}");
    }
    assert!(Call::from_path(Path::new("")).is_none());
}

#[test]
fn a_bare_name_is_enough() {
    assert_eq!(name_of(Call::from_path(Path::new("ifstat")).unwrap().probe), "ifstat");
}

#[test]
fn names_are_sorted_so_that_the_list_is_too() {
    assert!(PROBES.is_sorted_by_key(|(name, _)| *name));
}

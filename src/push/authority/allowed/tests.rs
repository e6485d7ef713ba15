use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn uuid(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

/// A file with this content in a folder of its own.
fn file(content: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("allowed");
    fs::write(&path, content).unwrap();
    (folder, path)
}

#[test]
fn both_forms_are_read_and_the_rest_is_kept() {
    let (one, two) = (uuid(1), uuid(2));
    let text = format!(
        "# my clients\n{one} web 1 \r\n\nnot a client\n{two}\n{}\n{} nobody\n",
        one.to_string().to_uppercase().replace('0', "z"),
        Uuid::nil()
    );
    let (_folder, path) = file(&text);
    fs::write(&path, [text.as_bytes(), b"\xff\xfe\n"].concat()).unwrap();
    let mut allowed = AllowedFile::open(&path).unwrap();
    let wanted = BTreeMap::from([(one, "web 1".to_owned()), (two, two.to_string())]);
    assert_eq!(allowed.clients(), wanted);

    allowed.add(uuid(3), "new").unwrap();
    allowed.remove(one).unwrap();
    let written = fs::read(&path).unwrap();
    let text = text.replace(&format!("{one} web 1 \r\n"), "");
    let added = format!("{} new\n", uuid(3));
    assert_eq!(written, [text.as_bytes(), b"\xff\xfe\n", added.as_bytes()].concat());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!allowed.look().unwrap(), "our own writing is no edit");
}

#[test]
fn upper_case_uuids_are_the_same() {
    let one = Uuid::from_u128(0xabcdef);
    let (_folder, path) = file(&format!("{} h", one.to_string().to_uppercase()));
    assert_eq!(AllowedFile::open(&path).unwrap().clients(), BTreeMap::from([(one, "h".into())]));
}

#[test]
fn hostile_names_stay_on_their_line() {
    for name in ["a\nb", "a\r\nb", "\u{1b}[2Ja", "a\u{2028}b", "a\u{202e}b", "a\0b"] {
        let clean = clean(name);
        assert!(!clean.chars().any(|c| c.is_control() || is_invisible(c)), "{name:?}: {clean:?}");
    }
    assert_eq!(clean("  web 1 é  "), "web 1 é");
    assert!(clean(&"é".repeat(1_000)).len() <= MAX_NAME_BYTES);
    let (_folder, path) = file("");
    let mut allowed = AllowedFile::open(&path).unwrap();
    allowed.add(uuid(1), &format!("x\n{} forged", uuid(2))).unwrap();
    let again = AllowedFile::open(&path).unwrap().clients();
    assert_eq!(again.keys().collect::<Vec<_>>(), [&uuid(1)]);
}

#[test]
fn an_edit_counts_when_it_has_settled() {
    let (_folder, path) = file(&format!("{} a\n", uuid(1)));
    let mut allowed = AllowedFile::open(&path).unwrap();
    assert!(!allowed.look().unwrap());
    // An editor empties the file, and writes it later.
    fs::write(&path, "").unwrap();
    assert!(!allowed.look().unwrap());
    fs::write(&path, format!("{} b\n", uuid(2))).unwrap();
    assert!(!allowed.look().unwrap());
    assert_eq!(allowed.clients().len(), 1);
    assert!(allowed.look().unwrap());
    assert_eq!(allowed.clients(), BTreeMap::from([(uuid(2), "b".into())]));
    assert!(!allowed.look().unwrap());
    // Who means it leaves it empty.
    fs::write(&path, "").unwrap();
    assert!(!allowed.look().unwrap());
    assert!(allowed.look().unwrap());
    assert!(allowed.clients().is_empty());
}

#[test]
fn a_file_that_is_gone_changes_nothing_and_is_told_once() {
    let (_folder, path) = file(&format!("{} a\n", uuid(1)));
    let mut allowed = AllowedFile::open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    assert!(!allowed.look().unwrap());
    assert!(allowed.look().is_err());
    assert!(!allowed.look().unwrap());
    assert!(allowed.is_as_known().unwrap());
    assert_eq!(allowed.clients().len(), 1);
    allowed.add(uuid(2), "b").unwrap();
    assert_eq!(AllowedFile::open(&path).unwrap().clients().len(), 2);
}

#[test]
fn what_was_edited_survives_our_own_writing() {
    let (_folder, path) = file(&format!("{} a\n", uuid(1)));
    let mut allowed = AllowedFile::open(&path).unwrap();
    fs::write(&path, format!("# edited\n{} a\n{} b\n", uuid(1), uuid(2))).unwrap();
    assert!(!allowed.is_as_known().unwrap());
    assert!(!allowed.look().unwrap() && allowed.look().unwrap() && allowed.is_as_known().unwrap());
    allowed.add(uuid(3), "c").unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text, format!("# edited\n{} a\n{} b\n{} c\n", uuid(1), uuid(2), uuid(3)));
}

#[test]
fn who_is_removed_during_an_edit_is_removed_after_it() {
    let text = format!("{} a\n{} b\n", uuid(1), uuid(2));
    let (_folder, path) = file(&text);
    let mut allowed = AllowedFile::open(&path).unwrap();
    fs::write(&path, "").unwrap();
    allowed.remove(uuid(1)).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"", "the editor is not done");
    fs::write(&path, format!("{text}# edited\n")).unwrap();
    assert!(!allowed.look().unwrap() && allowed.look().unwrap());
    assert_eq!(allowed.clients().into_keys().collect::<Vec<_>>(), [uuid(2)]);
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{} b\n# edited\n", uuid(2)));
    // It may be written into the file again.
    fs::write(&path, &text).unwrap();
    assert!(!allowed.look().unwrap() && allowed.look().unwrap());
    assert_eq!(allowed.clients().len(), 2);
}

#[test]
fn a_failed_write_leaves_the_list_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    // Its folder is a file: nothing can be written there, not even by root.
    fs::write(folder.path().join("no-folder"), "").unwrap();
    let mut allowed = AllowedFile {
        path: folder.path().join("no-folder/x"),
        lines: vec![],
        applied: None,
        seen: None,
        unwritten: BTreeSet::new(),
    };
    allowed.add(uuid(1), "a").unwrap_err();
    assert!(allowed.clients().is_empty());
}

#[test]
fn a_link_stays_a_link() {
    let (folder, path) = file("");
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let mut allowed = AllowedFile::open(&link).unwrap();
    allowed.add(uuid(1), "a").unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{} a\n", uuid(1)));
}

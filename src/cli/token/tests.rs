use super::*;

fn token(first: u8, uses_left: u32, expires: i64) -> Token {
    let mut hash = [0; 32];
    hash[0] = first;
    Token {
        hash,
        uses_left,
        expires: Timestamp::from_second(expires).unwrap(),
        group: Some("we\u{1b}b".into()),
        host: None,
        created: Timestamp::from_second(1).unwrap(),
        used: None,
    }
}

#[test]
fn a_list_says_what_each_token_is_still_good_for() {
    let now = Timestamp::from_second(1_000).unwrap();
    let text = list(&[token(0xab, 3, 2_000), token(0xac, 0, 2_000), token(0x01, 1, 999)], now);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("ab0000000000  3 left"), "{text}");
    assert!(lines[1].contains("used up") && lines[2].contains("expired"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn a_token_is_named_by_the_beginning_of_its_number() {
    let tokens = [token(0xab, 1, 1), token(0xac, 1, 1)];
    assert_eq!(named(&tokens, "AB").unwrap(), tokens[0].hash);
    assert!(matches!(named(&tokens, "a"), Err(CannotDo::Ambiguous(_))));
    assert!(matches!(named(&tokens, "ff"), Err(CannotDo::NoSuchToken(_))));
    assert!(matches!(named(&tokens, ""), Err(CannotDo::NoSuchToken(_))));
}

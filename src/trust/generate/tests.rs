use super::*;

fn plan(host: &str) -> Plan {
    let not_before = SystemTime::now();
    let not_after = not_before + Duration::from_secs(3_600);
    Plan { hosts: vec![host.into()], authority: true, key: KeyKind::P256, not_before, not_after }
}

#[test]
fn only_names_of_hosts_get_in() {
    for host in ["a", "a.example", "*.example", "192.0.2.7", "2001:db8::7", "under_score"] {
        generate(&plan(host)).unwrap_or_else(|error| panic!("{host}: {error}"));
    }
    for host in ["", "a b", "http://a", "a/b", "é", "a.*", "a:80", "-a", "a\0b"] {
        let made = generate(&plan(host));
        assert!(matches!(made, Err(CannotGenerate::Host(_))), "{host}: {made:?}");
    }
}

#[test]
fn dates_have_an_order_and_a_last_year() {
    let plan = plan("a");
    let mut backwards = plan.clone();
    backwards.not_after = plan.not_before;
    let mut late = plan.clone();
    late.not_after = SystemTime::UNIX_EPOCH + MAX_END + Duration::from_secs(1);
    let mut last = plan;
    last.not_after = SystemTime::UNIX_EPOCH + MAX_END;
    assert!(matches!(generate(&backwards), Err(CannotGenerate::Dates)));
    assert!(matches!(generate(&late), Err(CannotGenerate::Dates)));
    generate(&last).unwrap();
}

#[test]
fn a_key_that_could_not_be_used_is_not_made() {
    let made = generate(&Plan { key: KeyKind::Rsa(2050), ..plan("a") });
    assert!(matches!(made, Err(CannotGenerate::RsaBits(2050))), "{made:?}");
}

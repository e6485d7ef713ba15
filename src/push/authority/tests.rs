//! Whole ways through the authority, with a real CA, a real database and a real file.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use jiff::Timestamp;

use super::*;
use crate::{
    hub::{Changes, Journal, Ledger},
    store::{self, Admission, Store},
    tree::{Host, Instance, Kind, Tree},
    trust::{
        ClientCertificate, ClientKey,
        generate::{KeyKind, Plan, generate},
    },
};

const OWN: Uuid = Uuid::from_u128(0xffff);

#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<(Kind, String)>>>);

impl Journal for Told {
    fn record(&self, changes: Changes) {
        let entries = changes.entries.into_iter().map(|entry| entry.transition);
        self.0.lock().unwrap().extend(entries.map(|told| (told.kind, told.message)));
    }
}

impl Told {
    /// What was told of this kind.
    fn of(&self, kind: Kind) -> Vec<String> {
        let told = self.0.lock().unwrap();
        told.iter().filter(|(held, _)| *held == kind).map(|(_, text)| text.clone()).collect()
    }
}

struct Fixture {
    folder: tempfile::TempDir,
    ca: Arc<Ca>,
    store: Admission,
    /// Keeps the database.
    _opened: Store,
    told: Told,
    hub: Arc<Hub>,
    settings: PushServer,
    authority: Arc<Authority>,
}

fn make_ca(folder: &Path) -> Arc<Ca> {
    crate::trust::install_provider();
    let now = SystemTime::now();
    let made = generate(&Plan {
        hosts: vec!["localhost".into()],
        authority: true,
        key: KeyKind::P256,
        not_before: now - Duration::from_secs(3_600),
        not_after: now + Duration::from_secs(86_400),
    })
    .unwrap();
    fs::write(folder.join("ca.crt"), made.certificate_pem).unwrap();
    fs::write(folder.join("ca.key"), made.key_pem).unwrap();
    Arc::new(Ca::load(&folder.join("ca.crt"), &folder.join("ca.key"), "localhost").unwrap())
}

impl Fixture {
    fn new() -> Fixture {
        Fixture::with("", "")
    }

    /// `keys` are further ones of [PushServer], `file` what is in the allowed list already.
    fn with(keys: &str, file: &str) -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let ca = make_ca(folder.path());
        let opened = Store::open(store::Settings {
            path: folder.path().join("wigo.db"),
            origin: OWN,
            keep_days: 1,
        });
        let store = opened.store.admission();
        let allowed = folder.path().join("allowed");
        fs::write(&allowed, file).unwrap();
        let text =
            format!("[PushServer]\nAllowedClientsFile = \"{}\"\n{keys}\n", allowed.display());
        let settings = crate::config::parse(&text, Path::new("w")).unwrap().config.push_server;
        let told = Told::default();
        let me = Instance::new(OWN, "Wigo v1", Host::new("master", "group"));
        let hub = Arc::new(Hub::new(Tree::new(me), Ledger::default(), Box::new(told.clone())));
        let authority = Authority::open(&settings, ca.clone(), store.clone(), hub.clone()).unwrap();
        Fixture { folder, ca, store, _opened: opened.store, told, hub, settings, authority }
    }

    /// The authority after a restart.
    fn reopen(&mut self) {
        let (ca, store, hub) = (self.ca.clone(), self.store.clone(), self.hub.clone());
        self.authority = Authority::open(&self.settings, ca, store, hub).unwrap();
    }

    fn file(&self) -> String {
        fs::read_to_string(&self.settings.allowed_clients_file).unwrap()
    }

    fn edit(&self, text: &str) {
        fs::write(&self.settings.allowed_clients_file, text).unwrap();
        // The first look sees the edit, the second that it is finished.
        self.authority.look_now();
        self.authority.look_now();
    }

    fn client(&self, n: u128) -> TestClient {
        self.client_with_key(n, n)
    }

    /// The client number `n` with the key number `key`.
    fn client_with_key(&self, n: u128, key: u128) -> TestClient {
        let path = self.folder.path().join(format!("client{key}.key"));
        TestClient { uuid: Uuid::from_u128(n), key: ClientKey::load_or_make(&path).unwrap() }
    }

    fn enrol(&self, client: &TestClient) -> Enrolment {
        self.authority.enrol_now(client.request())
    }

    /// A client that is in and has its certificate.
    fn admitted(&self, n: u128) -> (TestClient, ClientIdentity) {
        let client = self.client(n);
        let Enrolment::Waiting { mut decision, .. } = self.enrol(&client) else { panic!() };
        self.authority.allow_now(client.uuid, None).unwrap();
        let Ok(Decision::Granted(signed)) = decision.try_recv() else { panic!() };
        let identity = identity(&signed);
        (client, identity)
    }

    fn mint(&self, uses: u32, group: Option<&str>) -> JoinToken {
        let token = JoinToken::new(self.ca.fingerprint());
        let expires = Timestamp::now() + jiff::SignedDuration::from_hours(1);
        let group = group.map(str::to_owned);
        self.store.mint_token(token.hash(), uses, expires, group, None).unwrap();
        token
    }
}

struct TestClient {
    uuid: Uuid,
    key: ClientKey,
}

impl TestClient {
    fn request(&self) -> EnrolRequest {
        let host = format!("host{}", self.uuid.as_u128());
        EnrolRequest {
            uuid: self.uuid,
            csr: self.key.csr(self.uuid, &host),
            host,
            group: "web".into(),
            version: "Wigo v1".into(),
            token: None,
            address: [10, 0, 0, (self.uuid.as_u128() % 250) as u8].into(),
        }
    }

    fn request_with(&self, token: &JoinToken) -> EnrolRequest {
        EnrolRequest { token: Some(token.reveal()), ..self.request() }
    }
}

/// Who a certificate is of, as the push server reads it.
fn identity(signed: &Signed) -> ClientIdentity {
    let certificate = ClientCertificate::from_pem(&signed.certificate_pem).unwrap();
    crate::trust::client_identity(&certificate.chain).unwrap()
}

#[track_caller]
fn refused(enrolment: Enrolment) -> Refusal {
    match enrolment {
        Enrolment::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_client_waits_is_allowed_comes_and_is_revoked() {
    let fixture = Fixture::new();
    let client = fixture.client(7);
    let Enrolment::Waiting { key, mut decision } = fixture.enrol(&client) else { panic!() };
    assert_eq!(key, client.key.fingerprint());
    assert!(decision.try_recv().is_err());
    let listing = fixture.authority.listing();
    let waiting = &listing.waiting[0];
    assert_eq!((waiting.uuid, &*waiting.name, waiting.key), (client.uuid, "host7", key));
    assert_eq!((listing.ca, listing.allowed.len()), (fixture.ca.fingerprint(), 0));

    assert_eq!(fixture.authority.allow_now(client.uuid, None).unwrap(), "host7");
    let Ok(Decision::Granted(signed)) = decision.try_recv() else { panic!() };
    let identity = identity(&signed);
    assert_eq!((identity.uuid, identity.key), (client.uuid, key));
    assert_eq!(fixture.file(), format!("{} host7\n", client.uuid));
    let admitted = fixture.authority.admit_known(&identity).unwrap().unwrap();
    assert_eq!(admitted, Admitted { uuid: client.uuid, name: "host7".into() });
    let listing = fixture.authority.listing();
    assert_eq!((listing.allowed[0].key, listing.waiting.len()), (Some(key), 0));

    let mut revoked = fixture.authority.revoked();
    fixture.authority.revoke_now(client.uuid).unwrap();
    assert_eq!(revoked.try_recv(), Ok(client.uuid));
    assert!(fixture.authority.admit_known(&identity).unwrap().is_err());
    assert_eq!(fixture.file(), "");
    let told = fixture.told.0.lock().unwrap().clone();
    let begins = [
        (Kind::ClientWaiting, "New client host7 ("),
        (Kind::ClientAllowed, "host7 added to allowed list by an operator ("),
        (Kind::ClientRevoked, "host7 removed from the allowed list by an operator ("),
    ];
    for ((kind, text), (wanted, begin)) in told.iter().zip(begins) {
        assert!(*kind == wanted && text.starts_with(begin), "{kind:?} {text}");
        assert!(text.contains(&key.to_string()) && text.contains(&client.uuid.to_string()));
    }
}

#[test]
fn nobody_is_allowed_who_does_not_wait() {
    let fixture = Fixture::new();
    let uuid = Uuid::from_u128(7);
    let error = fixture.authority.allow_now(uuid, None).unwrap_err();
    assert_eq!(error.to_string(), format!("Authority : Invalid uuid {uuid}"));
    // An approval counts once.
    let (client, _) = fixture.admitted(8);
    fixture.authority.allow_now(client.uuid, None).unwrap_err();
    fixture.authority.revoke_now(uuid).unwrap();
}

#[test]
fn a_client_that_comes_back_gets_a_certificate_again_also_after_a_restart() {
    let mut fixture = Fixture::new();
    let (client, _) = fixture.admitted(7);
    assert!(matches!(fixture.enrol(&client), Enrolment::Granted(_)));
    fixture.reopen();
    let Enrolment::Granted(signed) = fixture.enrol(&client) else { panic!() };
    fixture.authority.admit_known(&identity(&signed)).unwrap().unwrap();
}

#[test]
fn another_key_is_refused_and_reported_once() {
    let fixture = Fixture::new();
    let (_, identity) = fixture.admitted(7);
    let thief = fixture.client_with_key(7, 666);
    for _ in 0..3 {
        let refusal = refused(fixture.enrol(&thief));
        assert!(!refusal.retry && refusal.why.contains(&thief.key.fingerprint().to_string()));
    }
    assert_eq!(fixture.told.of(Kind::ClientRefused).len(), 1);
    fixture.authority.admit_known(&identity).unwrap().unwrap();
    // Also with a token, and while everybody is accepted.
    let request = thief.request_with(&fixture.mint(1, None));
    refused(fixture.authority.enrol_now(request));
    let settings = PushServer { auto_accept_clients: true, ..fixture.settings.clone() };
    fixture.authority.configure(&settings);
    refused(fixture.enrol(&thief));
}

#[test]
fn a_certificate_for_a_key_of_before_a_revocation_opens_nothing() {
    let fixture = Fixture::new();
    let (_, old) = fixture.admitted(7);
    fixture.authority.revoke_now(old.uuid).unwrap();
    let new = fixture.client_with_key(7, 8);
    let Enrolment::Waiting { .. } = fixture.enrol(&new) else { panic!() };
    fixture.authority.allow_now(new.uuid, None).unwrap();
    let refusal = fixture.authority.admit_known(&old).unwrap().unwrap_err();
    assert!(!refusal.retry, "{refusal}");
    assert_eq!(fixture.told.of(Kind::ClientRefused).len(), 1);
}

#[test]
fn the_same_uuid_with_another_key_cannot_wait_beside_the_first() {
    let fixture = Fixture::new();
    let Enrolment::Waiting { .. } = fixture.enrol(&fixture.client(7)) else { panic!() };
    let other = fixture.client_with_key(7, 8);
    refused(fixture.enrol(&other));
    assert_eq!(fixture.told.of(Kind::ClientRefused).len(), 1);
    // Who waits may come again, and is not news then.
    let Enrolment::Waiting { .. } = fixture.enrol(&fixture.client(7)) else { panic!() };
    assert_eq!(fixture.told.of(Kind::ClientWaiting).len(), 1);
}

#[test]
fn own_and_empty_uuids_and_nonsense_are_refused() {
    let fixture = Fixture::new();
    let client = fixture.client(7);
    for uuid in [OWN, Uuid::nil()] {
        let request = EnrolRequest { uuid, ..client.request() };
        assert!(refused(fixture.authority.enrol_now(request)).why.contains(&uuid.to_string()));
    }
    let request = EnrolRequest { csr: "no request".into(), ..client.request() };
    refused(fixture.authority.enrol_now(request));
    assert!(fixture.authority.listing().waiting.is_empty());
}

#[test]
fn one_token_admits_as_many_as_it_says_and_the_rest_waits() {
    let fixture = Fixture::new();
    let token = fixture.mint(1, None);
    let results = std::thread::scope(|scope| {
        let clients: Vec<_> = (1..=4).map(|n| fixture.client(n)).collect();
        let enrol = |client: TestClient| {
            let (authority, token) = (fixture.authority.clone(), token.clone());
            scope.spawn(move || authority.enrol_now(client.request_with(&token)))
        };
        let threads: Vec<_> = clients.into_iter().map(enrol).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let granted = results.iter().filter(|result| matches!(result, Enrolment::Granted(_))).count();
    assert_eq!(granted, 1, "{results:?}");
    let listing = fixture.authority.listing();
    assert_eq!((listing.allowed.len(), listing.waiting.len()), (1, 3));
    for client in listing.waiting {
        assert_eq!(client.note.as_deref(), Some("its join token is used up"));
    }
}

#[test]
fn a_token_that_is_not_meant_for_the_client_only_lets_it_wait() {
    let fixture = Fixture::new();
    let cases = [
        (fixture.mint(1, Some("db")).reveal(), "its join token is for another group"),
        (JoinToken::new(fixture.ca.fingerprint()).reveal(), "its join token is not known here"),
        ("nonsense".into(), "its join token is none"),
    ];
    for (n, (token, why)) in cases.into_iter().enumerate() {
        let client = fixture.client(n as u128 + 1);
        let request = EnrolRequest { token: Some(token), ..client.request() };
        let Enrolment::Waiting { .. } = fixture.authority.enrol_now(request) else {
            panic!("{why}")
        };
        let note = fixture.authority.state().waiting.get(client.uuid).unwrap().note.clone();
        assert_eq!(note.as_deref(), Some(why));
    }
    let told = fixture.told.of(Kind::ClientWaiting);
    assert!(told.iter().all(|text| !text.contains("wigo-join_")), "{told:?}");
}

#[test]
fn a_token_outdoes_whoever_waits_with_the_same_uuid() {
    let fixture = Fixture::new();
    let squatter = fixture.client_with_key(7, 8);
    let Enrolment::Waiting { mut decision, .. } = fixture.enrol(&squatter) else { panic!() };
    let client = fixture.client(7);
    let request = client.request_with(&fixture.mint(1, None));
    let Enrolment::Granted(signed) = fixture.authority.enrol_now(request) else { panic!() };
    assert_eq!(signed.key, client.key.fingerprint());
    assert!(matches!(decision.try_recv(), Ok(Decision::Refused(_))));
    assert!(fixture.authority.listing().waiting.is_empty());
}

#[test]
fn everybody_is_accepted_where_that_is_configured() {
    let fixture = Fixture::with("AutoAcceptClients = true", "");
    assert!(matches!(fixture.enrol(&fixture.client(7)), Enrolment::Granted(_)));
    let told = fixture.told.of(Kind::ClientAllowed);
    assert!(told[0].contains("AutoAcceptClients"), "{told:?}");
}

#[test]
fn a_full_list_is_told_to_the_client_and_reported_once() {
    let fixture = Fixture::with("MaxWaitingClients = 1", "");
    let Enrolment::Waiting { .. } = fixture.enrol(&fixture.client(1)) else { panic!() };
    for n in 2..5 {
        let refusal = refused(fixture.enrol(&fixture.client(n)));
        assert!(refusal.retry && refusal.why.contains("MaxWaitingClients"), "{refusal}");
    }
    assert_eq!(fixture.told.of(Kind::ClientRefused).len(), 1);
}

#[test]
fn a_line_written_by_hand_admits_the_first_key_that_comes() {
    let fixture = Fixture::with("", &format!("{} by hand\n", Uuid::from_u128(7)));
    let client = fixture.client(7);
    assert_eq!(fixture.authority.unclaimed(), 1);
    assert_eq!(fixture.authority.listing().allowed[0].key, None);
    assert!(matches!(fixture.enrol(&client), Enrolment::Granted(_)));
    assert!(
        fixture.told.of(Kind::ClientAllowed)[0].contains(&client.key.fingerprint().to_string())
    );
    refused(fixture.enrol(&fixture.client_with_key(7, 8)));
    assert_eq!(fixture.authority.unclaimed(), 0);
}

#[test]
fn an_edited_file_allows_and_revokes() {
    let fixture = Fixture::new();
    let (_, identity) = fixture.admitted(7);
    let waiting = fixture.client(8);
    let Enrolment::Waiting { mut decision, .. } = fixture.enrol(&waiting) else { panic!() };
    let mut revoked = fixture.authority.revoked();
    fixture.edit(&format!("{} eight\n# and a note\n", waiting.uuid));
    assert_eq!(revoked.try_recv(), Ok(identity.uuid));
    assert!(fixture.authority.admit_known(&identity).unwrap().is_err());
    assert!(matches!(decision.try_recv(), Ok(Decision::Granted(_))));
    assert_eq!(fixture.told.of(Kind::ClientRevoked).len(), 1);
    assert!(fixture.store.clients().unwrap().iter().all(|client| client.uuid == waiting.uuid));
    // A further change of ours keeps what was written.
    fixture.admitted(9);
    assert!(fixture.file().contains("# and a note"));
}

#[test]
fn nobody_is_decided_about_while_the_file_is_being_edited() {
    let fixture = Fixture::new();
    let (known, kept) = fixture.admitted(7);
    let (_, removed) = fixture.admitted(8);
    let client = fixture.client(9);
    let Enrolment::Waiting { .. } = fixture.enrol(&client) else { panic!() };
    let half = &fixture.file()[..20];
    fs::write(&fixture.settings.allowed_clients_file, half).unwrap();
    let error = fixture.authority.allow_now(client.uuid, None).unwrap_err();
    assert!(matches!(&error, CannotChange::Admit(refusal) if refusal.retry), "{error}");
    assert!(refused(fixture.enrol(&known)).retry);
    assert_eq!(fixture.file(), half, "the editor is not done");
    for identity in [&kept, &removed] {
        fixture.authority.admit_known(identity).unwrap().unwrap();
    }
    let line = format!("{} seven\n", known.uuid);
    fixture.edit(&line);
    fixture.authority.allow_now(client.uuid, None).unwrap();
    assert_eq!(fixture.file(), format!("{line}{} host9\n", client.uuid));
    fixture.authority.admit_known(&kept).unwrap().unwrap();
    fixture.authority.admit_known(&removed).unwrap().unwrap_err();
}

#[test]
fn who_was_revoked_waits_whatever_it_brings_until_an_operator_allows_it() {
    let mut fixture = Fixture::with("AutoAcceptClients = true", "");
    let client = fixture.client(7);
    let Enrolment::Granted(signed) = fixture.enrol(&client) else { panic!() };
    let identity = identity(&signed);
    fixture.authority.revoke_now(client.uuid).unwrap();
    fixture.reopen();
    let token = fixture.mint(9, None);
    // The same one; its uuid with another key; its key with another uuid.
    let key = ClientKey::load_or_make(&fixture.folder.path().join("client7.key")).unwrap();
    let moved = TestClient { uuid: Uuid::from_u128(70), key };
    for who in [&client, &moved] {
        let Enrolment::Waiting { .. } = fixture.authority.enrol_now(who.request_with(&token))
        else {
            panic!()
        };
        let note = fixture.authority.state().waiting.get(who.uuid).unwrap().note.clone().unwrap();
        assert!(note.starts_with("was revoked on 20"), "{note}");
    }
    refused(fixture.authority.enrol_now(fixture.client_with_key(7, 8).request_with(&token)));
    assert_eq!(fixture.store.tokens().unwrap()[0].uses_left, 9);
    // A line written by hand is not enough either.
    fixture.edit(&format!("{} seven\n", client.uuid));
    assert_eq!(fixture.authority.unclaimed(), 0);
    let Enrolment::Waiting { mut decision, .. } = fixture.enrol(&client) else { panic!() };
    let refusal = fixture.authority.admit_known(&identity).unwrap().unwrap_err();
    assert!(refusal.why.contains("was revoked on"), "{refusal}");

    fixture.authority.allow_now(client.uuid, None).unwrap();
    assert!(matches!(decision.try_recv(), Ok(Decision::Granted(_))));
    assert_eq!(fixture.file(), format!("{} seven\n", client.uuid), "one line");
    fixture.reopen();
    fixture.authority.admit_known(&identity).unwrap().unwrap();
    assert_eq!(fixture.store.revoked().unwrap(), []);
}

#[test]
fn a_revocation_waits_for_no_disk() {
    let fixture = Fixture::new();
    let (client, identity) = fixture.admitted(7);
    let mut revoked = fixture.authority.revoked();
    std::thread::scope(|scope| {
        // Somebody else's change takes its time.
        let file = fixture.authority.file();
        let revoke = || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(fixture.authority.revoke(client.uuid))
        };
        let revoking = scope.spawn(revoke);
        let start = Instant::now();
        while revoked.try_recv() != Ok(client.uuid) {
            assert!(start.elapsed() < Duration::from_secs(60), "it waits for the disk");
            std::thread::yield_now();
        }
        fixture.authority.admit_known(&identity).unwrap().unwrap_err();
        drop(file);
        revoking.join().unwrap().unwrap();
    });
    assert_eq!(fixture.file(), "");
    assert_eq!(fixture.store.revoked().unwrap().len(), 1);
}

#[test]
fn a_revocation_that_cannot_be_written_counts_and_is_told() {
    let fixture = Fixture::new();
    let (client, identity) = fixture.admitted(7);
    let path = &fixture.settings.allowed_clients_file;
    fs::remove_file(path).unwrap();
    fs::create_dir_all(path.join("full")).unwrap();
    fs::remove_file(fixture.folder.path().join("wigo.db")).unwrap();
    fixture.authority.look_now();
    fixture.authority.look_now();
    let mut revoked = fixture.authority.revoked();
    let error = fixture.authority.revoke_now(client.uuid).unwrap_err().to_string();
    assert!(error.contains(&path.display().to_string()) && error.contains("wigo.db"), "{error}");
    assert_eq!(revoked.try_recv(), Ok(client.uuid));
    fixture.authority.admit_known(&identity).unwrap().unwrap_err();
    // A line that was not removed does not bring it back.
    fs::remove_dir_all(path).unwrap();
    fixture.edit(&format!("# edited\n{} seven\n", client.uuid));
    assert!(matches!(fixture.enrol(&client), Enrolment::Waiting { .. }));
    assert_eq!(fixture.file(), "# edited\n");
}

#[test]
fn an_operator_lets_in_the_key_that_was_looked_at() {
    let fixture = Fixture::new();
    let client = fixture.client(7);
    let Enrolment::Waiting { key, .. } = fixture.enrol(&client) else { panic!() };
    let other = Some(Fingerprint::of_key(b"other"));
    let error = fixture.authority.allow_now(client.uuid, other).unwrap_err();
    assert!(matches!(error, CannotChange::OtherKey { key: held, .. } if held == key), "{error}");
    assert!(!fixture.authority.is_allowed(client.uuid));
    fixture.authority.allow_now(client.uuid, Some(key)).unwrap();
}

#[test]
fn who_was_removed_from_the_file_meanwhile_loses_the_key() {
    let mut fixture = Fixture::new();
    let (client, identity) = fixture.admitted(7);
    fs::write(&fixture.settings.allowed_clients_file, "# nobody\n").unwrap();
    fixture.reopen();
    assert!(fixture.authority.admit_known(&identity).unwrap().is_err());
    assert!(fixture.store.clients().unwrap().is_empty());
    let Enrolment::Waiting { .. } = fixture.enrol(&client) else { panic!() };
}

#[test]
fn a_missing_file_allows_nobody_and_frees_no_key() {
    let mut fixture = Fixture::new();
    let (_, identity) = fixture.admitted(7);
    let text = fixture.file();
    fs::remove_file(&fixture.settings.allowed_clients_file).unwrap();
    fixture.reopen();
    assert!(fixture.authority.admit_known(&identity).unwrap().is_err());
    fixture.edit(&text);
    fixture.authority.admit_known(&identity).unwrap().unwrap();
    refused(fixture.enrol(&fixture.client_with_key(7, 8)));
}

#[test]
fn what_cannot_be_written_admits_nobody() {
    let fixture = Fixture::new();
    let client = fixture.client(7);
    let Enrolment::Waiting { .. } = fixture.enrol(&client) else { panic!() };
    // A folder where the file should be: nothing can be written there, not even by root.
    let path = &fixture.settings.allowed_clients_file;
    fs::remove_file(path).unwrap();
    fs::create_dir_all(path.join("full")).unwrap();
    // It is no edit in progress.
    fixture.authority.look_now();
    fixture.authority.look_now();
    let error = fixture.authority.allow_now(client.uuid, None).unwrap_err();
    assert!(matches!(&error, CannotChange::Admit(refusal) if refusal.retry), "{error}");
    assert!(!fixture.authority.is_allowed(client.uuid));
    assert!(fixture.store.clients().unwrap().is_empty());
    assert_eq!(fixture.authority.listing().waiting.len(), 1, "it waits still");
    let request = client.request_with(&fixture.mint(1, None));
    assert!(refused(fixture.authority.enrol_now(request)).retry);
    assert_eq!(fixture.store.tokens().unwrap()[0].uses_left, 1);
    assert!(fixture.store.clients().unwrap().is_empty());
}

#[test]
fn a_certificate_is_renewed_for_the_same_key_unless_revoked() {
    let fixture = Fixture::new();
    let (client, identity) = fixture.admitted(7);
    let csr = client.key.csr(client.uuid, "whatever");
    let signed = fixture.authority.renew_now(&identity, &csr).unwrap();
    assert_eq!(self::identity(&signed).uuid, client.uuid);
    let other = fixture.client(8);
    fixture.authority.renew_now(&identity, &other.key.csr(client.uuid, "h")).unwrap_err();
    fixture.authority.revoke_now(client.uuid).unwrap();
    fixture.authority.renew_now(&identity, &csr).unwrap_err();
}

#[test]
fn an_ended_certificate_means_enrolling_again() {
    let fixture = Fixture::new();
    let (_, identity) = fixture.admitted(7);
    let ended =
        ClientIdentity { not_after: SystemTime::now() - Duration::from_secs(1), ..identity };
    let refusal = fixture.authority.admit_known(&ended).unwrap().unwrap_err();
    assert!(refusal.retry && refusal.why.contains("enrol again"), "{refusal}");
}

#[test]
fn a_refused_client_is_told_so() {
    let fixture = Fixture::new();
    let client = fixture.client(7);
    let Enrolment::Waiting { mut decision, .. } = fixture.enrol(&client) else { panic!() };
    fixture.authority.revoke_now(client.uuid).unwrap();
    assert!(matches!(decision.try_recv(), Ok(Decision::Refused(refusal)) if !refusal.retry));
    assert!(
        fixture.told.of(Kind::ClientRevoked)[0].starts_with("host7 removed from the waiting list")
    );
}

#[test]
fn a_hostile_name_is_one_line_everywhere() {
    let fixture = Fixture::new();
    let client = fixture.client(7);
    let forged = format!("x\n{} forged\u{1b}[2J", Uuid::from_u128(8));
    let request = EnrolRequest { host: forged.clone(), group: forged, ..client.request() };
    let Enrolment::Waiting { .. } = fixture.authority.enrol_now(request) else { panic!() };
    fixture.authority.allow_now(client.uuid, None).unwrap();
    assert_eq!(fixture.file().lines().count(), 1);
    assert!(!fixture.authority.is_allowed(Uuid::from_u128(8)));
    let told = fixture.told.0.lock().unwrap().clone();
    assert!(told.iter().all(|(_, text)| !text.chars().any(char::is_control)), "{told:?}");
}

#[tokio::test]
async fn the_whole_way_works_on_a_runtime() {
    let fixture = Fixture::new();
    let client = fixture.client(7);
    let authority = &fixture.authority;
    let Enrolment::Waiting { decision, .. } = authority.enrol(client.request()).await else {
        panic!()
    };
    let (allowed, decision) = tokio::join!(authority.allow(client.uuid, None), decision);
    assert_eq!(allowed.unwrap(), "host7");
    let Ok(Decision::Granted(signed)) = decision else { panic!() };
    let identity = identity(&signed);
    authority.admit(&identity).await.unwrap();
    authority.renew(&identity, client.key.csr(client.uuid, "h")).await.unwrap();
    authority.revoke(client.uuid).await.unwrap();
    authority.admit(&identity).await.unwrap_err();
}

#[tokio::test]
async fn a_key_that_the_database_has_lost_is_learned_from_the_certificate() {
    let mut fixture = Fixture::new();
    let (client, identity) = fixture.admitted(7);
    fixture.store.unbind_client(client.uuid).unwrap();
    fixture.reopen();
    fixture.authority.admit(&identity).await.unwrap();
    refused(fixture.enrol(&fixture.client_with_key(7, 8)));
    assert_eq!(fixture.store.clients().unwrap()[0].key, *identity.key.as_bytes());
}

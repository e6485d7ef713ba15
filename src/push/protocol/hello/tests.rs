use std::{collections::HashSet, fmt::Debug};

use proptest::prelude::*;
use tokio::io::duplex;

use super::*;

fn word() -> impl Strategy<Value = String> {
    "[a-z .é]{0,40}"
}

fn uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..200)
}

fn introduction() -> impl Strategy<Value = Introduction> {
    let proof = proptest::option::of(bytes());
    let certificate = proptest::option::of(bytes());
    (uuid(), word(), word(), any::<Nonce>(), certificate, proof).prop_map(
        |(uuid, name, version, nonce, certificate, proof)| Introduction {
            uuid,
            name,
            version,
            nonce,
            certificate,
            proof,
        },
    )
}

fn hello() -> impl Strategy<Value = Hello> {
    let enrol = (uuid(), word(), word(), word(), word(), proptest::option::of(word())).prop_map(
        |(uuid, version, host, group, csr, token)| {
            Hello::Enrol(Enrol { uuid, version, host, group, csr, token })
        },
    );
    let identity = (proptest::collection::vec(bytes(), 0..3), bytes())
        .prop_map(|(chain, proof)| PlainIdentity { chain, proof });
    let numbers = (any::<u32>(), any::<u64>());
    let report = (uuid(), word(), word(), numbers, proptest::option::of(identity)).prop_map(
        |(uuid, version, host, (heartbeat_ms, journal_highest), identity)| {
            Hello::Report(Login { uuid, version, host, heartbeat_ms, journal_highest, identity })
        },
    );
    prop_oneof![enrol, report]
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        (any::<Option<u64>>(), any::<(u32, u32, u32)>()).prop_map(
            |(position, (heartbeat_ms, silence_ms, return_ms))| Answer::Welcome {
                position,
                heartbeat_ms,
                silence_ms,
                return_ms,
            }
        ),
        word().prop_map(|certificate| Answer::Granted { certificate }),
        any::<[u8; 32]>().prop_map(|key| Answer::Waiting { key }),
        any::<u32>().prop_map(|retry_ms| Answer::Busy { retry_ms }),
        (word(), any::<bool>()).prop_map(|(why, retry)| Answer::Refused { why, retry }),
        word().prop_map(|why| Answer::Unknown { why }),
    ]
}

/// The message, after it has travelled.
async fn travelled<M: Message>(message: &M) -> Result<M, Unacquainted> {
    let (mut here, mut there) = duplex(100);
    let (sent, received) =
        tokio::join!(send(&mut here, message), receive(&mut there, GREETING_LIMIT));
    sent.unwrap();
    received
}

/// What is received when these bytes come and then nothing.
async fn received<M: Message>(bytes: &[u8]) -> Result<M, Unacquainted> {
    let (mut here, mut there) = duplex(bytes.len() + 1);
    here.write_all(bytes).await.unwrap();
    here.shutdown().await.unwrap();
    receive(&mut there, GREETING_LIMIT).await
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn travels<M: Message + PartialEq + Debug>(message: &M) {
    assert_eq!(run(travelled(message)).unwrap(), *message);
}

proptest! {
    #[test]
    fn every_message_arrives_as_it_was_sent(
        introduction in introduction(), hello in hello(), answer in answer(), nonce in any::<Nonce>(),
    ) {
        travels(&Opening { uuid: introduction.uuid, nonce });
        travels(&introduction);
        travels(&hello);
        travels(&answer);
    }

    #[test]
    fn no_bytes_bring_a_hello_down(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let length = (bytes.len() as u32).to_be_bytes();
        let framed = [&length[..], &bytes].concat();
        run(async {
            // Most are refused; those that are not are messages of exactly this length.
            if let Ok(hello) = received::<Hello>(&framed).await {
                assert_eq!(codec::encode(&hello, MAX_HELLO_BYTES).unwrap(), framed);
            }
            let _ = received::<Introduction>(&framed).await;
            let _ = received::<Answer>(&framed).await;
            let _ = received::<Answer>(&bytes).await;
        });
    }
}

#[tokio::test]
async fn a_length_of_four_gigabytes_is_refused_at_once() {
    let text = received::<Hello>(&[0xff; 4]).await.unwrap_err().to_string();
    assert!(text.contains("4294967295 bytes was announced; the limit is 65536"), "{text}");
}

#[tokio::test]
async fn what_is_cut_off_empty_or_followed_by_more_is_refused() {
    let whole = codec::encode(&Answer::Busy { retry_ms: 7 }, MAX_HELLO_BYTES).unwrap();
    let cut = received::<Answer>(&whole[..whole.len() - 1]).await;
    assert!(matches!(cut, Err(Unacquainted::Closed { .. })));
    assert!(matches!(received::<Answer>(&[0; 4]).await, Err(Unacquainted::Nonsense { .. })));
    let mut longer = whole.clone();
    longer[3] += 1;
    longer.push(0);
    assert!(matches!(received::<Answer>(&longer).await, Err(Unacquainted::Nonsense { .. })));
}

#[tokio::test]
async fn names_that_would_spoil_a_log_are_refused() {
    let named = |name: String| Introduction {
        uuid: Uuid::nil(),
        name,
        version: String::new(),
        nonce: [0; 32],
        certificate: None,
        proof: None,
    };
    let text = travelled(&named("a\nb".into())).await.unwrap_err().to_string();
    assert!(text.contains("the name has a control character"), "{text}");
    let text = travelled(&named("x".repeat(1_025))).await.unwrap_err().to_string();
    assert!(text.contains("the name has 1025 bytes"), "{text}");
    assert!(travelled(&named("x".repeat(1_024))).await.is_ok());
}

#[tokio::test]
async fn a_message_that_is_too_long_is_not_sent() {
    let (mut here, _there) = duplex(100);
    let granted = Answer::Granted { certificate: "x".repeat(MAX_HELLO_BYTES as usize) };
    assert!(matches!(send(&mut here, &granted).await, Err(Unacquainted::Io { .. })));
}

#[tokio::test(start_paused = true)]
async fn silence_and_a_reader_that_does_not_read_end_a_hello() {
    let (mut here, mut there) = duplex(10);
    let silent = receive::<_, Answer>(&mut there, WAITING_EVERY * 3).await;
    assert!(matches!(silent, Err(Unacquainted::Slow { .. })));
    let granted = Answer::Granted { certificate: "x".repeat(100) };
    assert!(matches!(send(&mut here, &granted).await, Err(Unacquainted::Slow { .. })));
}

#[test]
fn a_challenge_is_bound_to_everything_about_a_connection() {
    let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let (x, y) = ([1; 32], [2; 32]);
    let all = [
        challenge(Role::Client, a, b, &x, &x, &y, 1),
        challenge(Role::Server, a, b, &x, &x, &y, 1),
        challenge(Role::Client, b, a, &x, &x, &y, 1),
        challenge(Role::Client, a, b, &x, &y, &x, 1),
        challenge(Role::Client, a, b, &x, &x, &y, 2),
        challenge(Role::Client, a, b, &y, &x, &y, 1),
    ];
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    assert!(all.iter().all(|one| one.starts_with(b"wigo push, proof of identity\0")));
}

#[test]
fn a_token_is_not_shown() {
    let enrol = Enrol {
        uuid: Uuid::nil(),
        version: String::new(),
        host: String::new(),
        group: String::new(),
        csr: String::new(),
        token: Some("secret".into()),
    };
    assert!(!format!("{:?}", Hello::Enrol(enrol)).contains("secret"));
}

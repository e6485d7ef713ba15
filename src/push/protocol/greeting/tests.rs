use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::*;

/// What a server says that is sent `bytes` and then nothing.
async fn answer_to(bytes: &[u8]) -> (Result<u16, Unacquainted>, Vec<u8>) {
    let (mut client, mut server) = duplex(4_096);
    client.write_all(bytes).await.unwrap();
    client.shutdown().await.unwrap();
    let said = answer(&mut server).await;
    drop(server);
    let mut answered = Vec::new();
    client.read_to_end(&mut answered).await.unwrap();
    (said, answered)
}

/// What a client says that is answered `bytes` and then nothing.
async fn greeted_with(bytes: &[u8]) -> Result<u16, Unacquainted> {
    let (mut client, mut server) = duplex(4_096);
    server.write_all(bytes).await.unwrap();
    server.shutdown().await.unwrap();
    greet(&mut client).await
}

#[tokio::test]
async fn both_settle_on_the_newest_version_that_both_speak() {
    let (mut client, mut server) = duplex(64);
    let (chosen, agreed) = tokio::join!(greet(&mut client), answer(&mut server));
    assert_eq!((chosen.unwrap(), agreed.unwrap()), (1, 1));
    assert_eq!(
        (choose(1, 9), choose(0, 1), choose(2, 9), choose(0, 0)),
        (Some(1), Some(1), None, None)
    );
}

#[tokio::test]
async fn the_bytes_of_a_greeting_never_change() {
    let (said, answered) = answer_to(b"WIGO\0\x01\0\x07").await;
    assert_eq!(said.unwrap(), 1);
    assert_eq!(answered, b"WIGO\0\x01\0\x01\0\x01\0\0");
    assert_eq!(greeted_with(b"WIGO\0\x01\0\x01\0\x05\0\0").await.unwrap(), 1);
}

#[tokio::test]
async fn who_is_too_new_or_too_old_learns_it_and_what_to_do() {
    let (said, answered) = answer_to(b"WIGO\0\x02\0\x03").await;
    assert!(said.unwrap_err().to_string().contains("update this side"));
    let text = greeted_with(&answered).await.unwrap_err().to_string();
    assert!(text.contains("it says: the client speaks versions 2 to 3"), "{text}");
    assert!(text.contains("update the server"), "{text}");
    let (said, answered) = answer_to(b"WIGO\0\0\0\0").await;
    assert!(said.unwrap_err().to_string().contains("update the other side"));
    assert!(String::from_utf8_lossy(&answered).contains("update the client"));
    let chosen = greeted_with(b"WIGO\0\x07\0\x01\0\x07\0\0").await;
    assert!(matches!(chosen, Err(Unacquainted::NotOffered { chosen: 7 })));
}

#[tokio::test]
async fn strangers_are_named() {
    let guesses = [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "it speaks HTTP"),
        (b"\x16\x03\x01\x02\x00\x01", "it speaks TLS"),
        (b"-\xff\x81\x03\x01\x01\x07Request", "an original Wigo"),
        (b"SSH-2.0-OpenSSH", "it began with `SSH-`"),
    ];
    for (bytes, guess) in guesses {
        let (said, answered) = answer_to(bytes).await;
        let text = said.unwrap_err().to_string();
        assert!(text.contains(guess), "{text}");
        assert_eq!(answered, b"");
        assert!(greeted_with(bytes).await.unwrap_err().to_string().contains(guess));
    }
}

#[tokio::test]
async fn an_end_and_a_text_without_end_are_told() {
    assert!(matches!(greeted_with(b"WI").await, Err(Unacquainted::Closed { .. })));
    let long = greeted_with(b"WIGO\0\0\0\x01\0\x01\xff\xff").await;
    assert!(matches!(long, Err(Unacquainted::Nonsense { .. })));
    let hostile = greeted_with(b"WIGO\0\0\0\x02\0\x02\0\x03a\x1bb").await.unwrap_err().to_string();
    assert!(hostile.contains("(it says: a b)"), "{hostile}");
}

#[tokio::test(start_paused = true)]
async fn silence_ends_a_greeting() {
    let (mut client, _server) = duplex(64);
    let text = greet(&mut client).await.unwrap_err().to_string();
    assert!(text.starts_with("the greeting did not arrive within 5 s; an original Wigo"), "{text}");
    let (_client, mut server) = duplex(64);
    assert!(matches!(answer(&mut server).await, Err(Unacquainted::Slow { .. })));
}

proptest! {
    #[test]
    fn no_bytes_bring_a_greeting_down(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            // Whoever is taken for an acquaintance has said so.
            if answer_to(&bytes).await.0.is_ok() {
                assert!(bytes.starts_with(&MAGIC));
            }
            if greeted_with(&bytes).await.is_ok() {
                assert!(bytes.starts_with(&MAGIC));
            }
        });
    }
}

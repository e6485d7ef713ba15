use futures_util::{SinkExt, StreamExt};
use proptest::prelude::*;
use tokio::{
    io::{AsyncWriteExt, DuplexStream, duplex},
    time::Instant,
};

use super::*;
use crate::push::protocol::{
    codec,
    rate::{MAX_BYTES_PER_SECOND, MAX_MESSAGES_PER_SECOND, MESSAGE_BURST, PATIENCE},
};

fn transport(room: usize) -> (DuplexStream, Transport<DuplexStream>) {
    let (here, there) = duplex(room);
    (here, Transport::new(there, Arc::default()))
}

fn frame(body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32).to_be_bytes()[..], body].concat()
}

/// The error that ends reading when these bytes come and then nothing.
async fn refusal(bytes: &[u8]) -> io::Error {
    let (mut here, mut transport) = transport(bytes.len() + 1);
    here.write_all(bytes).await.unwrap();
    here.shutdown().await.unwrap();
    transport.next().await.unwrap().unwrap_err()
}

#[tokio::test]
async fn frames_arrive_however_they_are_cut() {
    let bodies = [vec![1; 10], vec![], vec![2; 10_000], vec![3; 5_000], vec![4]];
    let (here, mut there) = transport(7);
    let mut here = Transport::new(here, Arc::default());
    let sending = async {
        for body in &bodies {
            here.feed(frame(body)).await.unwrap();
        }
        SinkExt::<Vec<u8>>::close(&mut here).await.unwrap();
    };
    let receiving = async {
        let mut got = Vec::new();
        while let Some(body) = there.next().await {
            got.push(body.unwrap());
        }
        got
    };
    let ((), got) = tokio::join!(sending, receiving);
    assert_eq!(got, bodies);
    assert_eq!(there.traffic.messages_in.load(Relaxed), 5);
    assert_eq!(here.traffic.bytes_out.load(Relaxed), there.traffic.bytes_in.load(Relaxed));
    // Between frames nothing is held.
    assert_eq!((there.input.capacity(), here.output.capacity()), (0, 0));
}

#[tokio::test]
async fn frames_that_wait_are_written_together() {
    struct Counted(Vec<usize>);
    impl AsyncWrite for Counted {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.0.push(bytes.len());
            Poll::Ready(Ok(bytes.len()))
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }
    let mut transport = Transport::new(Counted(Vec::new()), Arc::default());
    transport.feed(frame(b"one")).await.unwrap();
    transport.feed(frame(b"two")).await.unwrap();
    SinkExt::<Vec<u8>>::flush(&mut transport).await.unwrap();
    assert_eq!(transport.stream.0, [14]);
}

#[tokio::test]
async fn a_length_of_four_gigabytes_is_refused_without_memory() {
    let (mut here, mut transport) = transport(64);
    here.write_all(&[0xff; 8]).await.unwrap();
    let error = transport.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(error.to_string().contains("4294967295 bytes"), "{error}");
    assert!(transport.input.capacity() <= STEP_BYTES);
}

#[tokio::test]
async fn memory_grows_as_bytes_arrive_not_as_they_are_announced() {
    let (mut here, mut transport) = transport(64);
    here.write_all(&MAX_FRAME_BYTES.to_be_bytes()).await.unwrap();
    here.write_all(&[0; 50]).await.unwrap();
    assert!(futures_util::poll!(transport.next()).is_pending());
    assert!(transport.input.capacity() <= STEP_BYTES);
}

#[tokio::test]
async fn an_end_is_one_only_between_frames() {
    assert_eq!(refusal(&frame(b"whole")[..7]).await.kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(refusal(&[0, 0]).await.kind(), io::ErrorKind::UnexpectedEof);
    let (here, mut transport) = transport(64);
    drop(here);
    assert!(transport.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_million_tiny_frames_are_slowed_down_and_then_cut_off() {
    let (mut here, mut transport) = transport(1 << 16);
    let flood = tokio::spawn(async move {
        let many = frame(b"").repeat(1_000);
        for _ in 0..1_000 {
            if here.write_all(&many).await.is_err() {
                return;
            }
        }
    });
    let begun = Instant::now();
    let mut taken = 0;
    let error = loop {
        match transport.next().await.unwrap() {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("more than 100 messages a second"), "{error}");
    let seconds = PATIENCE.as_secs() as u32;
    let allowed = MESSAGE_BURST + MAX_MESSAGES_PER_SECOND * (seconds + 1);
    assert!((MESSAGE_BURST..=allowed).contains(&taken), "{taken}");
    assert!(begun.elapsed() >= PATIENCE);
    drop(transport);
    flood.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_slows_down_in_time_is_not_cut_off() {
    let (mut here, mut transport) = transport(1 << 16);
    let talker = tokio::spawn(async move {
        for _ in 0..10 {
            here.write_all(&frame(b"x").repeat(MESSAGE_BURST as usize + 100)).await.unwrap();
            tokio::time::sleep(PATIENCE).await;
        }
    });
    let mut taken = 0;
    while let Some(message) = transport.next().await {
        message.unwrap();
        taken += 1;
    }
    assert_eq!(taken, 10 * (MESSAGE_BURST + 100));
    talker.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn many_bytes_are_slowed_down() {
    let (mut here, mut transport) = transport(1 << 20);
    let frames = 32;
    let talker = tokio::spawn(async move {
        let big = frame(&vec![0; MAX_FRAME_BYTES as usize]);
        for _ in 0..frames {
            here.write_all(&big).await.unwrap();
        }
    });
    let begun = Instant::now();
    let mut bytes = 0;
    while let Some(message) = transport.next().await {
        bytes += message.unwrap().len();
    }
    assert_eq!(bytes, frames * MAX_FRAME_BYTES as usize);
    // The burst, and what comes while the last frame is read, are free.
    let slow = bytes / MAX_BYTES_PER_SECOND as usize - 10;
    assert!(begun.elapsed() >= Duration::from_secs(slow as u64));
    talker.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_takes_nothing_or_never_finishes_a_frame_is_cut_off() {
    let (_here, mut transport) = transport(16);
    let error = transport.send(frame(&[0; 100])).await.unwrap_err();
    assert!(error.to_string().contains("took nothing for 10 s"), "{error}");

    let (mut here, mut transport) = self::transport(16);
    here.write_all(&[0, 0, 0, 9, 1]).await.unwrap();
    let error = transport.next().await.unwrap().unwrap_err();
    assert!(error.to_string().contains("one message took more than 60 s"), "{error}");
}

proptest! {
    #[test]
    fn no_bytes_bring_a_transport_down(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let taken = runtime.block_on(async {
            let (mut here, mut transport) = transport(bytes.len() + 1);
            here.write_all(&bytes).await.unwrap();
            here.shutdown().await.unwrap();
            let mut taken = 0;
            while let Some(Ok(body)) = transport.next().await {
                taken += codec::PREFIX_BYTES + body.len();
            }
            taken
        });
        assert!(taken <= bytes.len());
    }
}

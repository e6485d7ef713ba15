//! Receivers that make trouble, and those that must not notice.

use std::net::TcpListener;

use crate::{
    harness::{Agent, Home, wait_until},
    receiver::{Act, Receiver},
};

const TOLD: &str = "[Notifications]\nOnProbeChange = true\nMinLevelToSend = 101\n\
                    FlapDetection = false\nGroupWindow = 0";

fn home(channels: &[String]) -> Home {
    let mut home = Home::new();
    home.add(TOLD);
    channels.iter().for_each(|channel| home.add(channel));
    home.puppet(2, "load", 100);
    home
}

fn start(home: Home) -> Agent {
    let agent = home.start();
    agent.wait_status("load", 100);
    agent
}

/// Lets the probe break and be well again, so often.
fn rounds(agent: &Agent, count: usize) {
    for _ in 0..count {
        for status in [300, 100] {
            agent.home.tell("load", status, "as told");
            agent.wait_status("load", status);
        }
    }
}

#[test]
fn channels_in_trouble_delay_no_other() {
    let good = Receiver::new(Act::Take);
    let bad = [Act::Hang, Act::Refuse(500), Act::TooMany(3600), Act::BreakOff].map(Receiver::new);
    let mut channels: Vec<String> = (bad.iter().enumerate())
        .map(|(number, receiver)| receiver.channel(&format!("bad{number}"), ""))
        .collect();
    channels.push(
        "[[Notifications.Channels]]\nName = \"nowhere\"\nType = \"http\"\n\
         Url = \"http://no.such.name.invalid/in\"\n"
            .into(),
    );
    channels.push(good.channel("good", ""));
    let agent = start(home(&channels));
    rounds(&agent, 2);
    good.wait_taken(4);
    for receiver in &bad {
        wait_until("it was tried", || !receiver.arrivals().is_empty());
        assert_eq!(receiver.taken().len(), 0);
    }
    // The agent says itself that something is wrong.
    let own = agent.wait_probe("wigo", |probe| {
        let said = probe["Message"].as_str().unwrap();
        probe["Status"] == 200 && ["bad0", "bad1", "nowhere"].iter().all(|name| said.contains(name))
    });
    let said = own["Message"].as_str().unwrap();
    assert!(!said.contains("`good`") && !said.contains("/in"), "{said}");
    // And it stops although one of them never answers.
    agent.stop();
}

#[test]
fn what_was_not_delivered_goes_on_after_a_restart_under_its_key() {
    let receiver = Receiver::new(Act::Refuse(503));
    let agent = start(home(&[receiver.channel("sink", "")]));
    rounds(&agent, 1);
    wait_until("it was tried", || !receiver.arrivals().is_empty());
    let key = receiver.arrivals()[0].key.clone();
    let stopped = agent.stop();
    let before = receiver.arrivals().len();
    receiver.does(Act::Take);
    let agent = stopped.start();
    receiver.wait_taken(2);
    let arrivals = receiver.arrivals();
    assert_eq!(arrivals[before].key, key);
    let mut keys: Vec<String> = arrivals.into_iter().map(|arrival| arrival.key).collect();
    keys.dedup();
    assert_eq!(keys.len(), 2, "{keys:?}");
    drop(agent);
}

#[test]
fn what_a_receiver_refuses_for_good_goes_to_the_fallback() {
    let (refuses, takes) = (Receiver::new(Act::Refuse(400)), Receiver::new(Act::Take));
    // Nothing is routed to it but what the other cannot deliver.
    let fallback = takes.channel("second", "Hosts = [\"another\"]\n");
    let agent = start(home(&[refuses.channel("first", "Fallback = \"second\"\n"), fallback]));
    rounds(&agent, 1);
    takes.wait_taken(2);
    assert_eq!(refuses.arrivals().len(), 2);
    for (key, (times, _)) in takes.taken() {
        assert!(key.ends_with(":first:second"), "{key}");
        assert_eq!(times, 1);
    }
    drop(agent);
}

/// What the original knows as `EmailEnabled = 2`: mail if the HTTP callback fails.
#[test]
fn mail_is_sent_when_the_callback_fails_and_not_otherwise() {
    let callback = Receiver::new(Act::Take);
    let mail = MailSink::new();
    let mut home = Home::new();
    home.add(&format!(
        "{TOLD}\nHttpEnabled = true\nHttpUrl = \"{}\"\nEmailEnabled = 2\n\
         EmailSmtpServer = \"{}\"\nEmailFromAddress = \"wigo@example.org\"\n\
         EmailFromName = \"wigo\"\nEmailRecipients = [\"ops@example.org\"]",
        callback.url(),
        mail.address,
    ));
    home.puppet(2, "load", 100);
    let agent = start(home);
    rounds(&agent, 1);
    callback.wait_taken(2);
    assert_eq!(mail.taken(), 0);
    callback.does(Act::Refuse(410));
    rounds(&agent, 1);
    wait_until("two mails", || mail.taken() >= 2);
    drop((agent, callback));
}

/// A mail server that takes everything.
struct MailSink {
    address: String,
    taken: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

impl MailSink {
    fn new() -> MailSink {
        use std::{
            io::{BufRead, BufReader, Write},
            sync::atomic::{AtomicUsize, Ordering},
            thread,
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let taken = std::sync::Arc::new(AtomicUsize::new(0));
        let count = taken.clone();
        let serve = move |stream: std::net::TcpStream| -> std::io::Result<()> {
            let mut reader = BufReader::new(stream.try_clone()?);
            let mut stream = stream;
            stream.write_all(b"220 sink ready\r\n")?;
            let mut is_data = false;
            let mut line = String::new();
            while {
                line.clear();
                reader.read_line(&mut line)? > 0
            } {
                let text = line.trim_end();
                let answer: &[u8] = match text {
                    "." if is_data => {
                        count.fetch_add(1, Ordering::SeqCst);
                        is_data = false;
                        b"250 taken\r\n"
                    }
                    _ if is_data => continue,
                    "DATA" => {
                        is_data = true;
                        b"354 go on\r\n"
                    }
                    "QUIT" => b"221 bye\r\n",
                    _ => b"250 fine\r\n",
                };
                stream.write_all(answer)?;
            }
            Ok(())
        };
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let serve = serve.clone();
                // A connection that ends early is no matter.
                thread::spawn(move || drop(serve(stream)));
            }
        });
        MailSink { address, taken }
    }

    fn taken(&self) -> usize {
        self.taken.load(std::sync::atomic::Ordering::SeqCst)
    }
}

#[test]
fn channels_are_changed_while_running() {
    let (first, second) = (Receiver::new(Act::Take), Receiver::new(Act::Take));
    let mut agent = start(home(&[first.channel("sink", "")]));
    rounds(&agent, 1);
    first.wait_taken(2);
    agent.home.change(&first.url(), &second.url());
    agent.hang_up();
    wait_until("the other one is told", || {
        rounds(&agent, 1);
        !second.taken().is_empty()
    });
    // Nobody hears of it any more, and nothing waits for ever.
    first.does(Act::Take);
    agent.stop();
}

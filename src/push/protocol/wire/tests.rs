//! Messages travel whole, and whatever arrives breaks nothing. What they mean is tested at the border.

use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::push::protocol::codec::{PREFIX_BYTES, decode, encode};

const LIMIT: u32 = 1 << 20;

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,20}"
}

fn uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn header() -> impl Strategy<Value = Box<Header>> {
    let words = (text(), text(), text(), text(), option::of(text()));
    let times = any::<(Option<i64>, Option<i64>)>();
    (option::of(uuid()), words, vec((text(), text()), 0..3), times).prop_map(
        |(parent, (version, name, group, presence, problem), labels, (since, last_update))| {
            Box::new(Header {
                parent,
                version,
                name,
                group,
                labels,
                presence,
                since,
                last_update,
                problem,
                disabled: Vec::new(),
                remote_control: "read".to_owned(),
            })
        },
    )
}

fn probe() -> impl Strategy<Value = Probe> {
    let texts = (text(), text(), text(), text(), text(), text());
    let numbers = any::<(i64, u16, i32, u32, i64, bool)>();
    (texts, numbers).prop_map(
        |(
            (name, version, value, message, metrics, detail),
            (date, status, exit_code, interval, since, stale),
        )| Probe {
            name,
            version,
            value,
            message,
            date,
            metrics,
            detail,
            status,
            exit_code,
            interval,
            since,
            stale,
        },
    )
}

fn account() -> impl Strategy<Value = Account> {
    let ran = vec((text(), any::<i64>()), 0..3);
    (uuid(), option::of(header()), vec(probe(), 0..3), any::<bool>(), ran, vec(text(), 0..3))
        .prop_map(|(uuid, header, probes, complete, ran, gone)| Account {
            uuid,
            header,
            probes,
            complete,
            ran,
            gone,
        })
}

fn entry() -> impl Strategy<Value = Entry> {
    let texts = (text(), text(), text(), text());
    let numbers = any::<(u64, i64, Option<u16>, Option<u16>)>();
    (uuid(), texts, option::of(text()), numbers).prop_map(
        |(origin, (kind, group, host, message), probe, (origin_id, at_ms, was, now))| Entry {
            origin,
            origin_id,
            kind,
            at_ms,
            group,
            host,
            probe,
            was,
            now,
            message,
        },
    )
}

pub(in super::super) fn news() -> impl Strategy<Value = News> {
    let report = (any::<(bool, bool)>(), vec(account(), 0..3), vec(uuid(), 0..3)).prop_map(
        |((begins, ends), accounts, gone)| Box::new(Report { begins, ends, accounts, gone }),
    );
    (any::<u64>(), option::of(report), vec(entry(), 0..3), any::<Option<u64>>()).prop_map(
        |(sequence, report, entries, position)| News { sequence, report, entries, position },
    )
}

fn travels<T>(message: &T)
where
    T: Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let bytes = encode(message, LIMIT).unwrap();
    assert_eq!(encoded_bytes(message) as usize, bytes.len() - PREFIX_BYTES);
    assert_eq!(decode::<T>(&bytes[PREFIX_BYTES..]).unwrap(), *message);
}

proptest! {
    #[test]
    fn every_message_travels_whole(
        news in news(), why in text(), retry in any::<Option<u32>>(), pause_ms in any::<u32>(),
    ) {
        travels(&news);
        travels(&Farewell { why, retry });
        for receipt in [Receipt::Taken, Receipt::Resync, Receipt::Slow { pause_ms }] {
            travels(&receipt);
        }
        travels(&Parting::Stopping);
        travels(&Parting::Goodbye);
    }

    #[test]
    fn a_message_that_is_damaged_breaks_nothing(
        news in news(), place in any::<prop::sample::Index>(), damage in vec(any::<u8>(), 1..9),
    ) {
        let mut bytes = encode(&news, LIMIT).unwrap().split_off(PREFIX_BYTES);
        let place = place.index(bytes.len());
        // Cut off anywhere it is no message.
        prop_assert!(decode::<News>(&bytes[..place]).is_err());
        bytes.splice(place..(place + damage.len()).min(bytes.len()), damage);
        if let Ok(other) = decode::<News>(&bytes) {
            let _ = other.report.map(|report| {
                let pool = crate::push::protocol::Pool::default();
                report.checked(&pool, Timestamp::UNIX_EPOCH, &mut Default::default())
            });
        }
    }

    #[test]
    fn no_bytes_bring_the_decoder_down(bytes in vec(any::<u8>(), 0..400)) {
        let _ = decode::<News>(&bytes);
        let _ = decode::<Receipt>(&bytes);
        let _ = decode::<Farewell>(&bytes);
    }
}

#[test]
fn a_sign_of_life_is_a_few_bytes() {
    assert!(encoded_bytes(&News { sequence: 200, ..News::default() }) <= 5);
}

#[test]
fn too_many_elements_are_refused() {
    let account = |probes: usize| Account {
        uuid: Uuid::nil(),
        header: None,
        probes: Vec::new(),
        complete: false,
        ran: Vec::new(),
        gone: vec![String::new(); probes],
    };
    let arrives =
        |account: &Account| decode::<Account>(&encode(account, LIMIT).unwrap()[PREFIX_BYTES..]);
    assert!(arrives(&account(MAX_PROBES)).is_ok());
    let text = arrives(&account(MAX_PROBES + 1)).unwrap_err().to_string();
    assert!(text.contains("more than 1000 elements"), "{text}");
}

#[test]
fn lists_and_texts_of_an_announced_length_that_is_absurd_are_refused() {
    // sequence 1, no report, then 2^60 entries; and a farewell of 2^60 letters.
    let huge = [&[253][..], &(1_u64 << 60).to_le_bytes()].concat();
    assert!(decode::<News>(&[&[1, 0][..], &huge].concat()).is_err());
    assert!(decode::<Farewell>(&huge).is_err());
}

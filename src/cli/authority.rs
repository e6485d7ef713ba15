//! `wigocli authority` and `wigocli forget`: what an operator decides about the instances below.
//!
//! Clients choose their names before anybody knows them, so a name counts only where it is the only one;
//! what is asked of the agent is always a uuid.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    Error, Verdict,
    args::AuthorityAction,
    client::{Client, percent_encoded},
    model::{ClientDetail, Clients},
    printable::{printable, printable_json},
    render::{Look, date},
    screen::Screen,
};

/// Where an agent has its clients.
const PATH: &str = "/api/authority/hosts";

/// Shows the clients, or lets some in or out.
pub fn run(
    client: &Client,
    action: &AuthorityAction,
    json: bool,
    screen: &Screen,
) -> Result<Verdict, Error> {
    let answer = client.get_text(PATH)?;
    let clients: Clients = client.parse(PATH, &answer)?;
    let Clients { allowed, waiting, .. } = &clients;
    let (uuids, verb, done) = match action {
        AuthorityAction::List => {
            let text = match json {
                true => format!("{}\n", printable_json(answer.trim())),
                false => list(&clients, &screen.look),
            };
            screen.print(&text)?;
            return Ok(Verdict::Fine);
        }
        AuthorityAction::Allow { client: None, .. } => {
            (waiting.keys().cloned().collect(), "allow", "is allowed now")
        }
        AuthorityAction::Allow { client: Some(who), .. } => {
            (vec![the_one(who, "waits", &[waiting])?], "allow", "is allowed now")
        }
        AuthorityAction::Revoke { client: who } => {
            let state = "is allowed or waits";
            (vec![the_one(who, state, &[allowed, waiting])?], "revoke", "is revoked")
        }
    };
    for uuid in &uuids {
        // Only the key that is shown here is let in, also if another client waits meanwhile.
        let details = clients.details.waiting.iter().find(|detail| detail.uuid == *uuid);
        let key = details.and_then(|detail| detail.fingerprint.as_deref());
        let key = key.filter(|_| verb == "allow");
        let query = key.map(|key| format!("?key={}", percent_encoded(key))).unwrap_or_default();
        client.post(&format!("{PATH}/{}/{verb}{query}", percent_encoded(uuid)))?;
        let name = waiting.get(uuid).or_else(|| allowed.get(uuid)).map_or("", String::as_str);
        if !json {
            let key = key.map(|key| format!(", key {}", printable(key))).unwrap_or_default();
            let (name, uuid) = (printable(name), printable(uuid));
            screen.print(&format!("{name} ( {uuid} ) {done}{key}\n"))?;
        }
    }
    if json {
        say_json(&uuids, screen)?;
    } else if uuids.is_empty() {
        screen.print("no client waits\n")?;
    }
    Ok(Verdict::Fine)
}

/// Makes the agent forget a host.
pub fn forget(client: &Client, host: &str, json: bool, screen: &Screen) -> Result<Verdict, Error> {
    client.post(&format!("/api/hosts/{}/forget", percent_encoded(host)))?;
    match json {
        true => say_json(&[host.to_owned()], screen)?,
        false => screen.print(&format!("{} is forgotten\n", printable(host))).map(|_| ())?,
    }
    Ok(Verdict::Fine)
}

/// What was changed.
fn say_json(changed: &[String], screen: &Screen) -> Result<(), Error> {
    let list = serde_json::Value::from(changed).to_string();
    screen.print(&format!("{}\n", printable_json(&list)))?;
    Ok(())
}

/// The uuid of the client that `who` means, among those that are in a state.
fn the_one(
    who: &str,
    state: &'static str,
    among: &[&BTreeMap<String, String>],
) -> Result<String, Error> {
    let all = || among.iter().flat_map(|clients| clients.iter());
    if let Some((uuid, _)) = all().find(|(uuid, _)| uuid.eq_ignore_ascii_case(who)) {
        return Ok(uuid.clone());
    }
    let mut uuids: Vec<&String> =
        all().filter(|(_, name)| *name == who).map(|(uuid, _)| uuid).collect();
    uuids.sort_unstable();
    uuids.dedup();
    match *uuids {
        [] => Err(Error::NoClient { who: who.into(), state }),
        [uuid] => Ok(uuid.clone()),
        _ => {
            let uuids: Vec<&str> = uuids.into_iter().map(String::as_str).collect();
            Err(Error::SeveralClients { name: who.into(), uuids: uuids.join(", ") })
        }
    }
}

/// Those that wait, then those that are allowed.
fn list(clients: &Clients, look: &Look) -> String {
    let mut text = String::new();
    if !clients.ca.is_empty() {
        let _ = writeln!(text, "Certificate authority : {}\n", printable(&clients.ca));
    }
    let groups = [
        ("Waiting", &clients.waiting, &clients.details.waiting),
        ("Allowed", &clients.allowed, &clients.details.allowed),
    ];
    for (title, names, details) in groups {
        let none = if names.is_empty() { "none" } else { "" };
        let _ = writeln!(text, "{title} : {none}\n");
        for (uuid, name) in names {
            let _ = writeln!(text, "\t{} ( {} )", printable(name), printable(uuid));
            let known = details.iter().find(|detail| detail.uuid == *uuid);
            let lines = known.map(|detail| particulars(detail, title == "Waiting", look));
            for line in lines.into_iter().flatten() {
                let _ = writeln!(text, "\t\t{}", printable(&line));
            }
        }
        if !names.is_empty() {
            text.push('\n');
        }
    }
    text
}

fn particulars(client: &ClientDetail, waits: bool, look: &Look) -> Vec<String> {
    let mut lines = vec![match &client.fingerprint {
        Some(key) => format!("key {key}"),
        None => "has not enrolled yet".into(),
    }];
    if waits {
        let gone = if client.connected { "" } else { ", not connected any more" };
        let ClientDetail { address, group, version, note, since, .. } = client;
        lines.push(format!("from {address} since {}{gone}", date(*since, look)));
        lines.push(match group.is_empty() {
            true => version.clone(),
            false => format!("{version}, group {group}"),
        });
        lines.push(note.clone());
    }
    lines.retain(|line| !line.is_empty());
    lines
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    const ANSWER: &str = r#"{"allowed":{"a-1":"web1","a-2":"web2"},
        "waiting":{"b-1":"new\u001b[2J","b-2":"twin","b-3":"twin","b-4":"web1"},"ca":"AA:BB","details":{
        "allowed":[{"Uuid":"a-1","Hostname":"web1","Fingerprint":"11:22"},
            {"Uuid":"a-2","Hostname":"web2","Fingerprint":null}],
        "waiting":[{"Uuid":"b-1","Hostname":"new","Group":"g\u202e","Version":"Wigo v1","Address":"192.0.2.1",
            "Fingerprint":"33:44","Since":60,"Connected":false,"Note":"another uuid has this key"}]}}"#;

    #[test]
    fn clients_are_shown_with_what_is_known_of_them() {
        let clients: Clients = serde_json::from_str(ANSWER).unwrap();
        let look = Look { colour: false, zone: TimeZone::UTC };
        assert_eq!(
            list(&clients, &look),
            "\
Certificate authority : AA:BB

Waiting : \n
\tnew\\u{1b}[2J ( b-1 )
\t\tkey 33:44
\t\tfrom 192.0.2.1 since 1970-01-01T00:01:00 (UTC), not connected any more
\t\tWigo v1, group g\\u{202e}
\t\tanother uuid has this key
\ttwin ( b-2 )
\ttwin ( b-3 )
\tweb1 ( b-4 )

Allowed : \n
\tweb1 ( a-1 )
\t\tkey 11:22
\tweb2 ( a-2 )
\t\thas not enrolled yet

"
        );
        let original: Clients = serde_json::from_str(r#"{"allowed":null,"waiting":{}}"#).unwrap();
        assert_eq!(list(&original, &look), "Waiting : none\n\nAllowed : none\n\n");
    }

    #[test]
    fn a_name_counts_only_where_it_is_the_only_one() {
        let Clients { allowed, waiting, .. } = serde_json::from_str(ANSWER).unwrap();
        let waits = |who| the_one(who, "waits", &[&waiting]).map_err(|error| error.to_string());
        assert_eq!(waits("B-2"), Ok("b-2".into()));
        assert_eq!(waits("web1"), Ok("b-4".into()));
        assert!(waits("twin").unwrap_err().contains("b-2, b-3"));
        assert!(waits("web2").unwrap_err().contains("is no client that waits"));
        let both = the_one("web1", "is allowed or waits", &[&allowed, &waiting]);
        assert!(both.unwrap_err().to_string().contains("a-1, b-4"));
    }
}

//! From the agent's tree to what is shown of it and how bad that is. Pure.

use super::{
    Error, Verdict,
    args::{Command, RemotePart},
    client::Client,
    model::{self, Found, Wigo},
    printable::printable_json,
    render::{self, Look},
    tree,
};

/// Where an agent has its tree.
pub const PATH: &str = "/api";

/// What is shown, and how bad it is.
#[derive(Debug)]
pub struct View {
    pub text: String,
    pub verdict: Verdict,
}

/// What `command` asks for, found in `answer`, which is an agent's tree.
pub fn of(
    client: &Client,
    answer: &str,
    command: Option<&Command>,
    json: bool,
    look: &Look,
) -> Result<View, Error> {
    let top: Wigo = client.parse(PATH, answer)?;
    if top.name().is_empty() {
        return Err(Error::NotWigo { url: client.url(PATH) });
    }
    let (wigo, part) = match command {
        Some(Command::Remote { wigo, part }) => (Some(wigo.as_str()), part.as_ref()),
        _ => (None, None),
    };
    let found = top.find(wigo.unwrap_or("localhost")).ok_or_else(|| Error::NoHost {
        on: top.name().into(),
        wigo: wigo.unwrap_or_default().into(),
    })?;
    match (command, part) {
        (Some(Command::Probe { probe, .. }), _) | (_, Some(RemotePart::Probe { probe, .. })) => {
            probe_view(answer, found, probe, json, look)
        }
        (command, part) => {
            let detail = matches!(command, Some(Command::Detail))
                || matches!(part, Some(RemotePart::Detail));
            let Found { instance, path } = found;
            let text = match json {
                true => json_part(answer, &path),
                false if matches!(command, Some(Command::Tree)) => tree::draw(instance, look),
                false if path.is_empty() => render::summary(instance, detail, look),
                false => render::remote_summary(instance, detail, look),
            };
            Ok(View { text, verdict: Verdict::of(instance.global_status) })
        }
    }
}

fn probe_view(
    answer: &str,
    found: Found<'_>,
    name: &str,
    json: bool,
    look: &Look,
) -> Result<View, Error> {
    let Found { instance, mut path } = found;
    let probe = instance
        .local_host
        .probes
        .get(name)
        .ok_or_else(|| Error::NoProbe { on: instance.name().into(), probe: name.into() })?;
    path.extend(["LocalHost", "Probes", name]);
    let text = if json { json_part(answer, &path) } else { render::probe(name, probe, look) };
    Ok(View { text, verdict: Verdict::of(probe.status) })
}

/// The part of `answer` that `path` leads to, as a line of JSON.
fn json_part(answer: &str, path: &[&str]) -> String {
    let part = model::part_of(answer, path).expect("it was found in the same answer");
    format!("{}\n", printable_json(part))
}

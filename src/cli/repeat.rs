//! Asking again and again, until Ctrl-C.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
    task,
};

use super::{
    Error, Verdict,
    args::Command,
    client::Client,
    screen::{Reader, Screen, complaint},
    view,
};

/// Between two questions.
pub const PAUSE: Duration = Duration::from_secs(1);

/// How things were when last seen: the exit code at Ctrl-C.
#[derive(Clone, Debug)]
pub struct Last(Arc<Mutex<Verdict>>);

impl Last {
    pub fn set(&self, verdict: Verdict) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = verdict;
    }

    fn get(&self) -> Verdict {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `work` until it ends by itself or somebody presses Ctrl-C; then it is abandoned where it is, and
/// what it last set counts.
pub fn until_interrupted(
    work: impl FnOnce(&Last) -> Result<Verdict, Error> + Send + 'static,
) -> Result<Verdict, Error> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Error::Signal)?;
    let last = Last(Arc::new(Mutex::new(Verdict::Unknown)));
    let outcome = runtime.block_on(async {
        // Listening begins before the work does, so that no Ctrl-C is missed.
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signal)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signal)?;
        let seen = last.clone();
        tokio::select! {
            _ = interrupt.recv() => Ok(last.get()),
            _ = terminate.recv() => Ok(last.get()),
            ended = task::spawn_blocking(move || work(&seen)) => ended.expect("the work does not panic"),
        }
    });
    runtime.shutdown_background();
    outcome
}

/// Shows what `command` asks for, again whenever it changes. Failing at first is an error; later the failure
/// is shown and the agent asked again.
pub fn watch(
    client: &Client,
    command: Option<&Command>,
    json: bool,
    screen: &Screen,
    last: &Last,
) -> Result<Verdict, Error> {
    let mut tag = None;
    let mut shown = None;
    loop {
        let seen = match client.get_if_changed(view::PATH, tag.as_deref()) {
            Ok(None) => None,
            Ok(Some(answer)) => {
                tag = answer.tag;
                Some(view::of(client, &answer.text, command, json, &screen.look))
            }
            Err(error) => {
                tag = None; // the next answer is wanted whole, to take the place of the complaint
                Some(Err(error.into()))
            }
        };
        match seen {
            None => {}
            Some(Err(error)) if shown.is_none() => return Err(error),
            Some(seen) => {
                let (verdict, picture) = match seen {
                    Ok(view) => (view.verdict, Ok(view.text)),
                    Err(error) => (Verdict::Unknown, Err(complaint(&error))),
                };
                last.set(verdict);
                if shown.as_ref() != Some(&picture) && screen.redraw(&picture)? == Reader::Gone {
                    return Ok(verdict);
                }
                shown = Some(picture);
            }
        }
        thread::sleep(PAUSE);
    }
}

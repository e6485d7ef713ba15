//! The standard output: whether it has colours, and what happens when nobody reads it any more.

use std::io::{self, IsTerminal as _, Write as _};

use anstream::{AutoStream, ColorChoice};
use jiff::tz::TimeZone;

use super::{Error, printable::printable, render::Look};

/// Empties the screen and goes to its first column and line.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// The standard output.
#[derive(Debug)]
pub struct Screen {
    pub look: Look,
    /// A new drawing takes the place of the old one.
    redraws: bool,
}

/// Whether there is still somebody to write for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    Listens,
    Gone,
}

impl Screen {
    /// The standard output, on which `json` data or text for people is shown.
    pub fn of_stdout(json: bool) -> Screen {
        let stdout = io::stdout();
        let colour = AutoStream::choice(&stdout) != ColorChoice::Never;
        let look = Look { colour, zone: TimeZone::system() };
        Screen { look, redraws: stdout.is_terminal() && !json }
    }

    /// Writes `text` after what is there. A reader that has seen enough (`| head`) is no error.
    pub fn print(&self, text: &str) -> Result<Reader, Error> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Ok(()) => Ok(Reader::Listens),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
            Err(error) => Err(Error::Output(error)),
        }
    }

    /// Shows a picture, or a complaint about why there is none, on a terminal in the place of all that
    /// was there.
    pub fn redraw(&self, picture: &Result<String, String>) -> Result<Reader, Error> {
        let clear = if self.redraws { CLEAR } else { "" };
        match picture {
            Ok(text) => self.print(&format!("{clear}{text}")),
            Err(complaint) => {
                let reader = self.print(clear)?;
                self.complain(complaint);
                Ok(reader)
            }
        }
    }

    /// Says something on the standard error, where it is not taken for data.
    pub fn complain(&self, complaint: &str) {
        let _ = writeln!(io::stderr(), "{complaint}"); // nobody is left to be told
    }
}

/// The name we were called by.
fn program() -> String {
    let called = std::env::args_os().next().unwrap_or_default();
    let name = std::path::Path::new(&called).file_name().unwrap_or_default();
    printable(&name.to_string_lossy()).into_owned()
}

/// `error` with all its causes, as one line for a terminal.
pub fn complaint(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    // One line, as a log or a mail wants it.
    let text = causes.map(std::string::ToString::to_string).collect::<Vec<_>>().join(": ");
    let text = text.trim().replace('\n', "; ");
    format!("{}: {}", program(), printable(&text))
}

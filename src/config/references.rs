//! `${NAME}` and `${file:/path}` within a secret: so that the file itself need not hold it.

use std::path::Path;

use super::{environment::Environment, secret::Secret};

/// Why a reference could not be followed; says nothing of the rest of the text.
#[derive(Debug)]
pub(super) struct Broken {
    pub message: String,
    pub help: String,
}

/// The text with each `${NAME}` replaced by that variable of the environment, and each `${file:/path}` by
/// the first line of that file; `$${` stands for `${` itself.
pub(super) fn resolve(text: &str, environment: &Environment) -> Result<Secret, Broken> {
    let mut resolved = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            resolved.push_str(&rest[..at]);
            resolved.push('{');
            rest = &rest[at + 2..];
            continue;
        }
        resolved.push_str(&rest[..at]);
        let (name, behind) =
            rest[at + 2..].split_once('}').ok_or_else(|| malformed("a `${` has no `}`"))?;
        resolved.push_str(&follow(name, environment)?);
        rest = behind;
    }
    resolved.push_str(rest);
    Ok(Secret::new(resolved))
}

fn follow(name: &str, environment: &Environment) -> Result<String, Broken> {
    let text = match name.strip_prefix("file:") {
        Some(path) => from_file(path.trim(), environment)?,
        None if is_variable(name) => environment.variable(name).ok_or_else(|| Broken {
            message: format!("the environment has no variable `{name}`, or an empty one"),
            help: "set it for the service, or write the secret into a file and name it: \
                   \"${file:/path}\""
                .to_owned(),
        })?,
        None => return Err(malformed("between `${` and `}` is no name of a variable")),
    };
    // It ends up in headers and addresses.
    if text.chars().any(char::is_control) {
        let message = format!("what `${{{name}}}` stands for has a control character");
        return Err(Broken { message, help: "it must be one line of text".to_owned() });
    }
    Ok(text)
}

fn from_file(path: &str, environment: &Environment) -> Result<String, Broken> {
    let shown = path.escape_debug();
    if !path.starts_with('/') {
        let message = format!("`{shown}` is no absolute path");
        return Err(Broken { message, help: "write it as \"${file:/path}\"".to_owned() });
    }
    let line = environment.first_line(Path::new(path)).map_err(|error| Broken {
        message: format!("cannot read the secret in `{shown}`: {error}"),
        help: "its first line is taken; the user of the agent must be able to read it".to_owned(),
    })?;
    match line.is_empty() {
        false => Ok(line),
        true => Err(Broken {
            message: format!("the first line of `{shown}` is empty"),
            help: "the secret has to be there".to_owned(),
        }),
    }
}

fn malformed(why: &str) -> Broken {
    Broken {
        message: why.to_owned(),
        help: "write \"${NAME}\" or \"${file:/path}\"; for the two characters themselves \"$${\""
            .to_owned(),
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn resolved(text: &str) -> Result<String, String> {
        let environment = Environment::new(|name| match name {
            "TOKEN" => Some("t0ken".to_owned()),
            "LINES" => Some("a\nb".to_owned()),
            _ => None,
        });
        let secret = resolve(text, &environment).map_err(|broken| broken.message)?;
        Ok(secret.expose().to_owned())
    }

    #[test]
    fn variables_are_put_in_anywhere() {
        assert_eq!(
            resolved("https://a/${TOKEN}/b?x=${TOKEN}"),
            Ok("https://a/t0ken/b?x=t0ken".into())
        );
        assert_eq!(resolved("plain $ { text }"), Ok("plain $ { text }".into()));
        assert_eq!(resolved("a$${TOKEN}b"), Ok("a${TOKEN}b".into()));
    }

    #[test]
    fn files_give_their_first_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "s3cr3t\r\nmore\n").unwrap();
        let text = format!("x${{file:{}}}y", path.display());
        assert_eq!(resolved(&text), Ok("xs3cr3ty".into()));
        fs::write(&path, "\nmore\n").unwrap();
        assert!(resolved(&text).unwrap_err().contains("is empty"));
        fs::remove_file(&path).unwrap();
        let said = resolved(&text).unwrap_err();
        assert!(said.contains(path.to_str().unwrap()) && said.contains("No such file"), "{said}");
    }

    #[test]
    fn what_cannot_be_followed_is_named_without_the_rest() {
        for (text, said) in [
            ("hunter2${NONE}", "has no variable `NONE`"),
            ("hunter2${TOKEN", "has no `}`"),
            ("hunter2${a b}", "no name of a variable"),
            ("hunter2${}", "no name of a variable"),
            ("hunter2${file:token}", "no absolute path"),
            ("hunter2${LINES}", "control character"),
        ] {
            let found = resolved(text).unwrap_err();
            assert!(found.contains(said) && !found.contains("hunter2"), "{text}: {found}");
        }
    }
}

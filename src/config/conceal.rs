//! Hides what is secret in a configuration file before one of its lines is quoted.

/// Parts of the names of keys whose values are not shown, in lower case.
const SECRET_KEYS: [&str; 9] = [
    "password",
    "secret",
    "token",
    "urls",
    "httpurl",
    "hookurl",
    "apikey",
    "userkeys",
    "routingkey",
];
/// Whole names of such keys: as parts of other names they mean nothing.
const SECRET_NAMES: [&str; 4] = ["url", "topic", "command", "headers"];

/// The same text with the values of secret keys starred out, byte for byte, so that offsets still fit.
///
/// Works line by line and without parsing, because a file that cannot be parsed is quoted as well: in
/// a line that names a secret key, all after the next `=` goes, and the lines after it as long as they
/// look like the rest of a list or of a long text.
pub(super) fn conceal(text: &str) -> String {
    let mut concealed = String::with_capacity(text.len());
    let mut in_value = false;
    let mut in_headers = false;
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with('[') {
            in_headers = line.to_ascii_lowercase().contains(".headers]");
        }
        let of_header = || line.find('=').filter(|_| in_headers).map(|equals| equals + 1);
        let shown = match secret_from(line).or_else(of_header) {
            Some(start) => {
                in_value = true;
                start
            }
            None if in_value && !starts_something(line) => 0,
            None => {
                in_value = false;
                line.len()
            }
        };
        concealed.push_str(&line[..shown]);
        for c in line[shown..].chars() {
            match c {
                c if c.is_whitespace() => concealed.push(c),
                c => concealed.extend(std::iter::repeat_n('*', c.len_utf8())),
            }
        }
    }
    concealed
}

/// Where the value of a secret key starts in this line.
fn secret_from(line: &str) -> Option<usize> {
    // ASCII lower case keeps every offset.
    let lower = line.to_ascii_lowercase();
    let part = SECRET_KEYS.iter().filter_map(|key| lower.find(key)).min();
    let whole = SECRET_NAMES.iter().filter_map(|name| find_name(&lower, name)).min();
    let name = part.into_iter().chain(whole).min()?;
    lower[name..].find('=').map(|equals| name + equals + 1)
}

/// Where `name` is the whole name of a key.
fn find_name(line: &str, name: &str) -> Option<usize> {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    line.match_indices(name).map(|(at, _)| at).find(|at| {
        let behind = line[at + name.len()..].trim_start_matches(['"', '\'']).trim_start();
        !line[..*at].ends_with(is_letter) && behind.starts_with('=')
    })
}

/// Whether a line starts a section, a key or a comment, and so cannot belong to the value before it.
fn starts_something(line: &str) -> bool {
    let line = line.trim_start();
    let name = line.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "_-.".contains(c));
    line.is_empty()
        || line.starts_with(['#', '['])
        || (name.len() < line.len() && name.trim_start().starts_with('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secret_keys_are_starred_out() {
        let text = "Login = \"me\"\nPassword = \"s3cr3t\" # really\nPort = 1\n";
        let expected = "Login = \"me\"\nPassword = ******** * ******\nPort = 1\n";
        assert_eq!(conceal(text), expected);
    }

    #[test]
    fn offsets_stay_where_they_were() {
        let text = "password=\"äöü€\"\nGroup = \"ä\"";
        assert_eq!(conceal(text).len(), text.len());
        assert_eq!(conceal(text).find("Group"), text.find("Group"));
    }

    #[test]
    fn values_over_several_lines_are_hidden_to_their_end() {
        let text =
            "AppriseUrls = [\n  \"tgram://token\",\n]\nHttpUrl=\n\"\"\"abc\ndef\"\"\"\nPort = 1";
        let concealed = conceal(text);
        assert!(!concealed.contains("token"), "{concealed}");
        assert!(!concealed.contains("abc") && !concealed.contains("def"), "{concealed}");
        assert!(concealed.ends_with("Port = 1"));
    }

    #[test]
    fn names_that_only_look_secret_are_shown() {
        for line in ["PublicUrl = \"https://a\"", "CommandLine = 1", "RedirectUrl = \"x\""] {
            assert_eq!(conceal(line), line);
        }
        for line in ["Url = \"s3cr3t\"", "{Name = \"a\", \"Url\"=\"s3cr3t\"}", "Topic=\"s3cr3t\""] {
            assert!(!conceal(line).contains("s3cr3t"), "{line}");
        }
    }

    #[test]
    fn headers_are_hidden_whatever_they_are_called() {
        let text = "[Notifications.Channels.Headers]\nX-Key = \"s3cr3t\"\n[Http]\nPort = 1\n";
        let concealed = conceal(text);
        assert!(!concealed.contains("s3cr3t") && concealed.ends_with("Port = 1\n"), "{concealed}");
    }

    #[test]
    fn secrets_of_inline_tables_are_hidden() {
        let text = "AdvancedList = [{ Hostname = \"a\", Password = \"s3cr3t\" }]";
        assert!(!conceal(text).contains("s3cr3t"));
        assert!(conceal(text).starts_with("AdvancedList = [{ Hostname = \"a\", Password = "));
    }
}

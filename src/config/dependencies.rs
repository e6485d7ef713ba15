//! `[[Dependencies]]`: what is behind what, so that one cause is one message.

use super::section::Section;

/// A rule: while something it depends on is down, nothing is sent about a host.
#[derive(Clone, Debug, PartialEq)]
pub struct Dependency {
    /// The hosts of this group …
    pub group: Option<String>,
    /// … or this host …
    pub host: Option<String>,
    /// … are behind these hosts.
    pub depends_on: Vec<String>,
}

impl Dependency {
    fn is_behind(&self, host: &str) -> bool {
        self.depends_on.iter().any(|on| on.eq_ignore_ascii_case(host))
    }

    pub(super) fn read(entry: &Section<'_>) -> Dependency {
        let name = |text: &str| Ok(text.to_owned());
        let rule = Dependency {
            group: entry.parsed("Group", name),
            host: entry.parsed("Host", name),
            depends_on: entry.parsed_list("DependsOn", name),
        };
        let problem = if rule.group.is_none() && rule.host.is_none() {
            "names neither a `Group` nor a `Host`"
        } else if rule.depends_on.is_empty() {
            "names nothing in `DependsOn`"
        } else if rule.host.as_ref().is_some_and(|host| rule.is_behind(host)) {
            "makes a host depend on itself"
        } else {
            return rule;
        };
        let message = format!("this rule {problem}");
        entry.warn("DependsOn", message, "as it is, the rule can do nothing");
        rule
    }
}

//! The README names every subcommand.

use super::{Finding, Repository, rust_source::code_only};

const CLI: &str = "tcptrace/src/cli.rs";
const README: &str = "README.md";

/// Looks for each variant of the `Command` enum in the README.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let code = code_only(repository.text(CLI).unwrap_or_default());
    let Some((_, body)) = code.split_once("enum Command {") else {
        return vec![Finding::in_file(CLI, "`enum Command`, the list of subcommands, is missing")];
    };
    let readme = repository.text(README).unwrap_or_default();
    variants(body)
        .map(|variant| subcommand(&variant))
        .filter(|name| !names(readme, name))
        .map(|name| Finding::in_file(README, format!("does not name `tcptrace {name}`")))
        .collect()
}

/// The variants at the start of `body`, which begins after the enum's opening brace.
fn variants(body: &str) -> impl Iterator<Item = String> {
    let mut found = Vec::new();
    let mut depth = 0;
    let mut word = String::new();
    // A variant comes first in its line, but for attributes, which are deeper by a bracket.
    for c in body.chars() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' if depth == 0 => break,
            '}' | ')' | ']' => depth -= 1,
            _ if depth == 0 && c.is_alphanumeric() => {
                word.push(c);
                continue;
            }
            _ => {}
        }
        if word.starts_with(char::is_uppercase) {
            found.push(word.clone());
        }
        word.clear();
    }
    found.into_iter()
}

/// The name clap gives to a variant: `DryRun` is `dry-run`.
fn subcommand(variant: &str) -> String {
    let mut name = String::new();
    for c in variant.chars() {
        if c.is_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.extend(c.to_lowercase());
    }
    name
}

/// Whether the text has `tcptrace NAME`, with the name whole.
fn names(text: &str, name: &str) -> bool {
    text.split("tcptrace ").skip(1).any(|rest| {
        let rest = rest.trim_start().strip_prefix(name);
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '-'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENUM: &str = "/// Commands.\n#[derive(Subcommand)]\npub enum Command {\n    \
        /// Live { transitions }.\n    Watch(Box<WatchArgs>),\n    #[command(name = \"List\")]\n    \
        List { all: bool },\n    DryRun,\n}\nenum Other { No }\n";

    fn messages(readme: &str) -> Vec<String> {
        let repository = Repository::sample(&[(README, readme), (CLI, ENUM)]);
        check(&repository).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn a_full_readme_passes() {
        let readme = "`tcptrace watch` and\ntcptrace   list\nsudo tcptrace dry-run";
        assert!(messages(readme).is_empty());
    }

    #[test]
    fn a_forgotten_subcommand_is_found() {
        assert_eq!(
            messages("tcptrace watch; tcptrace listing; dry-run"),
            ["does not name `tcptrace list`", "does not name `tcptrace dry-run`"]
        );
    }

    #[test]
    fn a_missing_enum_is_not_taken_for_no_subcommands() {
        assert_eq!(check(&Repository::sample(&[(CLI, "")])).len(), 1);
    }
}

//! Words that have no place in source: left-overs, switched-off tests, and waiting by guess.

use super::{Finding, Repository, repository::File};

/// A word, where it is banned, and what to do instead. The words are put together from two parts
/// each, so that this file does not break its own rule.
struct Banned {
    word: &'static str,
    applies: fn(&str) -> bool,
    instead: &'static str,
}

const BANNED: &[Banned] = &[
    Banned { word: concat!("#[ign", "ore"), applies: anywhere, instead: "run the test or drop it" },
    Banned { word: concat!("to", "do!"), applies: anywhere, instead: "write it" },
    Banned { word: concat!("unimple", "mented!"), applies: anywhere, instead: "write it" },
    Banned { word: concat!("db", "g!"), applies: anywhere, instead: "use the log, or nothing" },
    Banned { word: concat!("FIX", "ME"), applies: anywhere, instead: "mend it or file an issue" },
    Banned { word: concat!("XX", "X"), applies: anywhere, instead: "mend it or file an issue" },
    Banned { word: concat!("thread::", "sleep"), applies: in_tests, instead: WAIT },
    Banned { word: concat!("time::", "sleep"), applies: in_tests, instead: WAIT },
];

const WAIT: &str = "wait for what is expected, with a deadline";

/// Files that may hold a word all the same: path, word, reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "tcptrace/tests/kernel/actor.rs",
        concat!("thread::", "sleep"),
        "no call blocks until a socket is in a state",
    ),
    (
        "tcptrace/tests/kernel/stage.rs",
        concat!("thread::", "sleep"),
        "how long a socket stays in a state is what is tested",
    ),
];

/// Looks for the words, in comments too.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    repository.ending_in(".rs").flat_map(|file| check_file(file, EXCEPTIONS)).collect()
}

fn check_file(file: &File, exceptions: &[(&str, &str, &str)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for banned in BANNED.iter().filter(|banned| (banned.applies)(&file.path)) {
        let excepted =
            |&(path, word, _reason): &(&str, &str, &str)| path == file.path && word == banned.word;
        if exceptions.iter().any(excepted) {
            continue;
        }
        for (index, line) in file.text.lines().enumerate() {
            if line.contains(banned.word) {
                let message = format!("no `{}` here: {}", banned.word, banned.instead);
                findings.push(Finding::in_line(&file.path, index + 1, message));
            }
        }
    }
    findings
}

fn anywhere(_path: &str) -> bool {
    true
}

fn in_tests(path: &str) -> bool {
    path.split('/').any(|directory| directory == "tests")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_where_it_is_banned() {
        for banned in BANNED {
            let text = format!("fn f() {{}}\n    {}(x)", banned.word);
            let found = check(&Repository::sample(&[("tcptrace/tests/cli.rs", &text)]));
            assert_eq!(found.len(), 1, "{}", banned.word);
            assert_eq!(found[0].line, Some(2));
        }
    }

    #[test]
    fn product_code_may_sleep() {
        let text = format!("tokio::{}(pace).await;", concat!("time::", "sleep"));
        assert!(check(&Repository::sample(&[("tcptrace/src/replay.rs", &text)])).is_empty());
    }

    #[test]
    fn an_exception_is_for_one_word_in_one_file() {
        let sleep = concat!("thread::", "sleep");
        let path = "tcptrace/tests/kernel/timers.rs";
        let file = |path: &str| File { path: path.into(), text: sleep.into() };
        let exceptions = [(path, sleep, "the kernel's own timer is what is tested")];
        assert!(check_file(&file(path), &exceptions).is_empty());
        assert_eq!(check_file(&file("tcptrace/tests/cli.rs"), &exceptions).len(), 1);
    }
}

//! Passwords that attackers try first (NIST SP 800-63B, 3.1.1.2): common ones, repetitions, sequences, and what everybody who knows the
//! person and the service would think of.

/// In lower case and in order, after lines that begin with `#`.
const COMMON: &str = include_str!("common_passwords.txt");
/// The shortest word of a person, an organization or the service that counts, in characters.
const WORD_MIN: usize = 4;
/// A password of fewer different characters is a repetition.
const DISTINCT_MIN: usize = 4;
/// How many letters must be left of a password without the words that everybody knows.
const LEFT_MIN: usize = 4;

/// Why attackers would try this password early; `None`, when they would not. `context` is what is known of the person: names, the
/// mail address, organizations.
pub fn weakness(password: &str, context: &[&str]) -> Option<&'static str> {
    let password = password.to_lowercase();
    let core = password.trim_matches(|character: char| !character.is_alphabetic());
    let unit = unit(core).trim_matches(|character: char| !character.is_alphabetic());
    if [password.as_str(), core, unit].iter().any(|word| is_listed(word)) {
        return Some("is one of the passwords that attackers try first, or one with digits or signs around it");
    }
    if is_repetition(&password) || is_sequence(&password) {
        return Some("repeats itself, or runs through the alphabet or the digits");
    }
    if is_of_context(&password, context) {
        return Some("is made of the mail address, the name, the organization or the name of the service");
    }
    None
}

fn is_listed(word: &str) -> bool {
    let mut lines = COMMON;
    // By halves, cut at the ends of lines. The list is ASCII.
    while !lines.is_empty() {
        let middle = lines.len() / 2;
        let from = lines[..middle].rfind('\n').map_or(0, |end| end + 1);
        let to = lines[from..].find('\n').map_or(lines.len(), |end| from + end);
        match (lines[from..to].starts_with('#'), lines[from..to].cmp(word)) {
            (false, std::cmp::Ordering::Equal) => return true,
            (true, _) | (_, std::cmp::Ordering::Less) => lines = lines.get(to + 1..).unwrap_or_default(),
            (false, std::cmp::Ordering::Greater) => lines = &lines[..from],
        }
    }
    false
}

/// The shortest text of which this one consists, again and again; itself, when there is none.
fn unit(text: &str) -> &str {
    let mut ends = text.char_indices().map(|(at, _)| at).filter(|&at| at > 0 && at <= text.len() / 2);
    let repeats =
        |&at: &usize| text.len().is_multiple_of(at) && text.as_bytes().chunks(at).all(|chunk| chunk == &text.as_bytes()[..at]);
    ends.find(repeats).map_or(text, |at| &text[..at])
}

fn is_repetition(password: &str) -> bool {
    let mut distinct: Vec<char> = password.chars().collect();
    distinct.sort_unstable();
    distinct.dedup();
    distinct.len() < DISTINCT_MIN || (unit(password).len() < password.len() && unit(password).chars().count() <= DISTINCT_MIN)
}

/// Whether each character is the one after the one before it, or each the one before; after 9 comes 0.
fn is_sequence(password: &str) -> bool {
    let characters: Vec<char> = password.chars().collect();
    let follows = |one: char, other: char| (one == '9' && other == '0') || u32::from(one) + 1 == u32::from(other);
    characters.windows(2).all(|pair| follows(pair[0], pair[1])) || characters.windows(2).all(|pair| follows(pair[1], pair[0]))
}

/// Whether little is left without the words that everybody knows.
fn is_of_context(password: &str, context: &[&str]) -> bool {
    let texts = context.iter().copied().chain(["provider hub", "providerhub"]).map(str::to_lowercase);
    let mut words: Vec<String> = texts
        .flat_map(|text| {
            let parts: Vec<String> = text.split(|c: char| !c.is_alphanumeric()).map(str::to_owned).collect();
            // Several words without what stands between them, too.
            let whole = parts.concat();
            parts.into_iter().chain([whole, text])
        })
        .filter(|word| word.chars().count() >= WORD_MIN)
        .collect();
    words.sort_unstable_by_key(|word| std::cmp::Reverse(word.len()));
    let left = words.iter().fold(password.to_owned(), |left, word| left.replace(word.as_str(), ""));
    left != password && left.chars().filter(|character| character.is_alphabetic()).count() < LEFT_MIN
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words() -> impl Iterator<Item = &'static str> {
        COMMON.lines().filter(|line| !line.starts_with('#'))
    }

    #[test]
    fn the_table_is_in_order_and_every_word_of_it_is_found() {
        let all: Vec<&str> = words().collect();
        assert!(all.len() > 6000 && all.is_sorted() && COMMON.is_ascii(), "{}", all.len());
        for word in all {
            assert!(is_listed(word), "{word}");
            assert!(!is_listed(&format!("{word}\u{1f980}")));
        }
        assert!(!is_listed("") && !is_listed("#"));
    }

    #[test]
    fn what_attackers_try_first_is_weak() {
        for weak in [
            "password1234",
            "Password2026!",
            "PasswordPassword",
            "1234567890qwerty",
            "123456789012",
            "987654321098",
            "abcdefghijkl",
            "zyxwvutsrqpo",
            "aaaaaaaaaaaa",
            "abcabcabcabc",
            "abcdabcdabcd",
            "ababbaababba",
            "!!liverpool!!99",
            "ProviderHub2026",
            "provider-hub-1",
            "Ada.Lovelace1815",
            "lovelace-lovelace",
            "ContosoCloud!1",
            "contoso.example",
        ] {
            let context = ["Ada.Lovelace@contoso.example", "Ada Lovelace", "Contoso Cloud"];
            assert!(weakness(weak, &context).is_some(), "{weak}");
        }
        assert!(weakness("contoso 123456", &[]).is_none());
    }

    #[test]
    fn a_few_words_are_a_good_password() {
        for good in [
            "correct horse battery staple",
            "another password",
            "a password of Ada's",
            "contoso pays for tea",
            "wir trinken Tee um fünf",
            "x7#Kq9!vLm2$",
            "\u{1f980}\u{1f980} crabs in a row",
            "the example of a road",
        ] {
            assert_eq!(weakness(good, &["ada@example.com", "Ada", "Contoso Cloud"]), None, "{good}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(password in "\\PC{0,128}", context in "\\PC{0,40}") {
            weakness(&password, &[&context]);
        }

        #[test]
        fn digits_around_a_word_do_not_help(index in 0usize..6000, digits in "[0-9!?.]{0,6}") {
            let all: Vec<&str> = words().filter(|word| word.chars().all(|c| c.is_ascii_alphabetic())).collect();
            let word = all[index % all.len()];
            let weak = format!("{digits}{word}{digits}");
            prop_assert!(weakness(&weak, &[]).is_some(), "{}", weak);
        }
    }
}

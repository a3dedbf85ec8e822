//! One pattern, cleaned and matched.
//!
//! Matching follows all ways through the pattern at once, so that its time is at most
//! pattern × path, whatever the number of stars.

/// One line of an ignore file.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    /// `!`: it brings back.
    pub(crate) negated: bool,
    /// Cleaned: relative, without `.`, `..` and double slashes.
    text: String,
    matcher: Matcher,
}

#[derive(Debug, Clone)]
enum Matcher {
    Exact,
    /// `a/**`: everything that begins so.
    Prefix(String),
    /// `**/a`: everything that ends so.
    Suffix(String),
    Tokens {
        tokens: Vec<Token>,
        /// What every match begins and ends with, so that most paths need no more than a look.
        head: String,
        tail: String,
    },
}

#[derive(Debug, Clone)]
enum Token {
    One(char),
    /// `?`
    Any,
    /// `*`
    Star,
    /// `**` at the end.
    Rest,
    /// `**/` in front of something: nothing, or whole folders.
    Folders,
    /// What `Folders` loops in; never written by anybody.
    InFolders,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Pattern {
    /// Parses a trimmed line that is not empty; `None` if it is malformed.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (negated, rest) = match line.strip_prefix('!') {
            Some(rest) => (true, rest.trim()),
            None => (false, line),
        };
        if rest.is_empty() {
            return None;
        }
        let text = clean(rest);
        let matcher = compile(&text)?;
        Some(Self { negated, text, matcher })
    }

    /// Returns whether the pattern matches this very path; its parents are the caller's.
    pub(crate) fn matches(&self, path: &str) -> bool {
        match &self.matcher {
            Matcher::Exact => path == self.text,
            Matcher::Prefix(prefix) => path.starts_with(prefix.as_str()),
            Matcher::Suffix(suffix) => path.ends_with(suffix.as_str()) || suffix.strip_prefix('/') == Some(path),
            Matcher::Tokens { tokens, head, tail } => {
                path.starts_with(head.as_str()) && path.ends_with(tail.as_str()) && run(tokens, path)
            }
        }
    }

    /// Returns whether the pattern might match something in `folder`.
    pub(super) fn may_match_below(&self, folder: &str) -> bool {
        // The folders that the pattern names without any wildcard.
        let literal = self.text.split('/').take_while(|part| !part.contains(['*', '?', '[', '\\']));
        literal.zip(folder.split('/')).all(|(ours, theirs)| ours == theirs)
    }
}

/// Returns the shortest spelling of a path, relative: `/a//b/../c/` is `a/c`.
fn clean(text: &str) -> String {
    let rooted = text.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
}

fn compile(text: &str) -> Option<Matcher> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    let mut plain = true;
    while let Some(character) = rest.next() {
        let token = match character {
            '*' if rest.next_if_eq(&'*').is_some() => {
                rest.next_if_eq(&'/');
                if rest.peek().is_some() {
                    tokens.push(Token::Folders);
                    tokens.push(Token::InFolders);
                    plain &= tokens.len() == 2;
                    continue;
                }
                Token::Rest
            }
            '*' => Token::Star,
            '?' => Token::Any,
            '[' => class(&mut rest)?,
            '\\' => {
                plain = false;
                Token::One(rest.next()?)
            }
            other => Token::One(other),
        };
        plain &= matches!(token, Token::One(_) | Token::Rest);
        tokens.push(token);
    }
    let opens = text.starts_with("**");
    Some(match tokens.last() {
        // `**` alone; `**x` matches by its end, even in the middle of a name.
        _ if opens && plain && !matches!(tokens.last(), Some(Token::Rest) if tokens.len() > 1) => {
            Matcher::Suffix(text[2..].to_owned())
        }
        Some(Token::Rest) if plain && !opens => Matcher::Prefix(text[..text.len() - 2].to_owned()),
        _ if plain && !opens => Matcher::Exact,
        _ => {
            let literal = |token: &Token| if let Token::One(one) = token { Some(*one) } else { None };
            let head = tokens.iter().map_while(literal).collect();
            let tail: Vec<char> = tokens.iter().rev().map_while(literal).collect();
            Matcher::Tokens { head, tail: tail.into_iter().rev().collect(), tokens }
        }
    })
}

/// Reads a class after its `[`. Like Docker's, it may match a `/`.
fn class(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Token> {
    let negated = rest.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        match rest.next()? {
            ']' if !ranges.is_empty() => return Some(Token::Class { negated, ranges }),
            ']' | '-' => return None,
            first => {
                let low = if first == '\\' { rest.next()? } else { first };
                let high = match rest.next_if_eq(&'-') {
                    None => low,
                    Some(_) => match rest.next()? {
                        ']' | '-' => return None,
                        '\\' => rest.next()?,
                        high => high,
                    },
                };
                ranges.push((low, high));
            }
        }
    }
}

fn run(tokens: &[Token], path: &str) -> bool {
    let mut at = vec![false; tokens.len() + 1];
    let mut next = at.clone();
    at[0] = true;
    spread(tokens, &mut at);
    for character in path.chars() {
        next.fill(false);
        for (index, token) in tokens.iter().enumerate().filter(|(index, _)| at[*index]) {
            match token {
                Token::One(one) => next[index + 1] |= *one == character,
                Token::Any => next[index + 1] |= character != '/',
                Token::Class { negated, ranges } => {
                    let within = ranges.iter().any(|(low, high)| (*low..=*high).contains(&character));
                    next[index + 1] |= within != *negated;
                }
                Token::Star => next[index] |= character != '/',
                Token::Rest => next[index] = true,
                Token::Folders => {}
                Token::InFolders => {
                    next[index] = true;
                    next[index + 1] |= character == '/';
                }
            }
        }
        spread(tokens, &mut next);
        if !next.contains(&true) {
            return false;
        }
        std::mem::swap(&mut at, &mut next);
    }
    at[tokens.len()]
}

/// Adds the places that are reached without a character.
fn spread(tokens: &[Token], at: &mut [bool]) {
    for (index, token) in tokens.iter().enumerate() {
        if at[index] {
            match token {
                Token::Star | Token::Rest => at[index + 1] = true,
                Token::Folders => {
                    at[index + 1] = true;
                    at[index + 2] = true;
                }
                _ => {}
            }
        }
    }
}

//! `{…}` in the profile's texts: the forms that are replaced; anything else is literal.
//!
//! `$` means nothing here, so `a$$` and `robot$lab+x` arrive as they are written.

/// One piece of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    Literal(&'a str),
    Form(Form<'a>),
}

/// What may stand in braces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form<'a> {
    /// `{service}`
    Service,
    /// `{namespace}`
    Namespace,
    /// `{user}`
    User,
    /// `{env}`
    Environment,
    /// `{env:NAME}`
    Variable(&'a str),
    /// `{services.NAME.…}`
    Of(&'a str, Attribute),
}

/// What one service may ask of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attribute {
    Host,
    Port,
    Url,
    Image,
}

/// Splits a text at its forms.
pub(crate) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut literal, mut from) = (0, 0);
    while let Some(open) = text[from..].find('{').map(|at| from + at) {
        let inside = &text[open + 1..];
        let form = inside.find(['{', '}']).filter(|at| inside[*at..].starts_with('}'));
        match form.and_then(|length| Some((length, parse(&inside[..length])?))) {
            Some((length, form)) => {
                if literal < open {
                    pieces.push(Piece::Literal(&text[literal..open]));
                }
                pieces.push(Piece::Form(form));
                from = open + length + 2;
                literal = from;
            }
            None => from = open + 1,
        }
    }
    if literal < text.len() {
        pieces.push(Piece::Literal(&text[literal..]));
    }
    pieces
}

fn parse(inside: &str) -> Option<Form<'_>> {
    match inside {
        "service" => return Some(Form::Service),
        "namespace" => return Some(Form::Namespace),
        "user" => return Some(Form::User),
        "env" => return Some(Form::Environment),
        _ => {}
    }
    if let Some(name) = inside.strip_prefix("env:") {
        let fits = |character: char| character.is_ascii_alphanumeric() || character == '_';
        return (!name.is_empty() && name.chars().all(fits)).then_some(Form::Variable(name));
    }
    let (name, attribute) = inside.strip_prefix("services.")?.rsplit_once('.')?;
    let attribute = match attribute {
        "host" => Attribute::Host,
        "port" => Attribute::Port,
        "url" => Attribute::Url,
        "image" => Attribute::Image,
        _ => return None,
    };
    let fits = |character: char| character.is_alphanumeric() || matches!(character, '-' | '_');
    (!name.is_empty() && name.chars().all(fits)).then_some(Form::Of(name, attribute))
}

/// Replaces each `{services.NAME.image}` by what `image` returns for NAME.
pub(crate) fn fill_images(text: &str, image: &dyn Fn(&str) -> Option<String>) -> String {
    pieces(text)
        .into_iter()
        .map(|piece| match piece {
            Piece::Literal(literal) => literal.to_owned(),
            Piece::Form(form) => match form {
                Form::Of(name, Attribute::Image) => image(name).unwrap_or_else(|| written(form)),
                _ => written(form),
            },
        })
        .collect()
}

/// Returns the NAMEs of the `{services.NAME.image}` forms in a text.
pub(crate) fn image_references(text: &str) -> Vec<String> {
    pieces(text)
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Form(Form::Of(name, Attribute::Image)) => Some(name.to_owned()),
            _ => None,
        })
        .collect()
}

/// Returns a form as it is written.
pub(crate) fn written(form: Form<'_>) -> String {
    match form {
        Form::Service => "{service}".into(),
        Form::Namespace => "{namespace}".into(),
        Form::User => "{user}".into(),
        Form::Environment => "{env}".into(),
        Form::Variable(name) => format!("{{env:{name}}}"),
        Form::Of(name, attribute) => {
            let attribute = match attribute {
                Attribute::Host => "host",
                Attribute::Port => "port",
                Attribute::Url => "url",
                Attribute::Image => "image",
            };
            format!("{{services.{name}.{attribute}}}")
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms_are_found_and_everything_else_is_literal() {
        let found =
            pieces("a$$ {user}-{env}-{service} {env:HOME}{services.re-dis.port} {x} {\"a\": {}} {env:} {{user}");
        assert_eq!(
            found,
            [
                Piece::Literal("a$$ "),
                Piece::Form(Form::User),
                Piece::Literal("-"),
                Piece::Form(Form::Environment),
                Piece::Literal("-"),
                Piece::Form(Form::Service),
                Piece::Literal(" "),
                Piece::Form(Form::Variable("HOME")),
                Piece::Form(Form::Of("re-dis", Attribute::Port)),
                Piece::Literal(" {x} {\"a\": {}} {env:} {"),
                Piece::Form(Form::User),
            ]
        );
    }

    #[test]
    fn images_are_filled_in_where_they_are_known() {
        let text = "FROM {services.base.image} and {services.other.image}";
        assert_eq!(image_references(text), ["base", "other"]);
        let filled = fill_images(text, &|name| (name == "base").then(|| "base:1".into()));
        assert_eq!(filled, "FROM base:1 and {services.other.image}");
    }

    proptest! {
        #[test]
        fn no_text_is_lost(text in "[a-z{}:.$ üservicesnamespaceuserenvimage]{0,60}") {
            prop_assert_eq!(fill_images(&text, &|_| None), text);
        }
    }
}

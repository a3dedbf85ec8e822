//! Processes that take up a changed file by themselves, told by their words and environment.

use std::collections::BTreeMap;

/// Returns what reloads the process by itself; `None` if nothing is known to.
pub(crate) fn reloads(argv: &[String], env: &BTreeMap<String, String>) -> Option<&'static str> {
    // A shell's one line counts as its words.
    let words: Vec<&str> = argv.iter().flat_map(|word| word.split_whitespace()).map(base).collect();
    let has = |word: &str| words.contains(&word);
    let has_option = |name: &str| words.iter().any(|word| *word == name || word.starts_with(&format!("{name}=")));
    let is_on = |name: &str| env.get(name).is_some_and(|value| matches!(value.as_str(), "1" | "true" | "True" | "on"));
    let is_no_production =
        |name: &str| env.get(name).is_none_or(|value| !matches!(value.as_str(), "production" | "staging"));
    let pair = |first: &str, second: &str| words.windows(2).any(|pair| pair == [first, second]);
    let by_word = [
        ("nodemon", "nodemon"),
        ("ts-node-dev", "ts-node-dev"),
        ("vite", "vite"),
        ("air", "air"),
        ("watchexec", "watchexec"),
        ("jurigged", "jurigged"),
        ("watchmedo", "watchmedo"),
        ("watchfiles", "watchfiles"),
        ("webpack-dev-server", "webpack-dev-server"),
        ("rerun", "rerun"),
    ];
    if let Some((_, what)) = by_word.iter().find(|(word, _)| has(word)) {
        return Some(what);
    }
    let node_watches = words.iter().position(|word| matches!(*word, "node" | "bun" | "deno" | "tsx"));
    let watch = ["--watch", "--hot", "watch"];
    match () {
        () if has("flask") && has("--debug") => Some("flask --debug"),
        () if has("flask") && is_on("FLASK_DEBUG") && !has("--no-reload") => Some("FLASK_DEBUG"),
        () if env.contains_key("WERKZEUG_RUN_MAIN") => Some("werkzeug's reloader"),
        () if has("uvicorn") && has_option("--reload") => Some("uvicorn --reload"),
        () if has("gunicorn") && has_option("--reload") => Some("gunicorn --reload"),
        () if has("hypercorn") && has_option("--reload") => Some("hypercorn --reload"),
        () if pair("fastapi", "dev") => Some("fastapi dev"),
        () if has("runserver") && !has("--noreload") => Some("manage.py runserver"),
        () if node_watches.is_some_and(|at| words[at..].iter().any(|word| watch.contains(word))) => {
            Some("a watching node")
        }
        () if pair("next", "dev") => Some("next dev"),
        () if pair("nuxt", "dev") || pair("astro", "dev") || pair("remix", "dev") => Some("a development server"),
        () if pair("webpack", "serve") => Some("webpack serve"),
        () if pair("run", "dev") || pair("yarn", "dev") || pair("pnpm", "dev") => Some("the script `dev`"),
        () if pair("rails", "server") || pair("rails", "s") => {
            (is_no_production("RAILS_ENV") && is_no_production("RACK_ENV")).then_some("rails in development")
        }
        () if pair("php", "-S") || has("php-fpm") || has("apache2-foreground") => {
            Some("PHP, which reads files for each request")
        }
        () if ["nginx", "httpd", "httpd-foreground", "caddy", "lighttpd"].iter().any(|server| has(server)) => {
            Some("a web server, which reads files for each request")
        }
        () => None,
    }
}

/// Returns a program's name without its folder.
fn base(word: &str) -> &str {
    let word = word.trim_matches(['"', '\'', ';']);
    word.rsplit('/').next().unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reloads_by_itself_is_recognised() {
        for (line, env, expected) in [
            ("flask run --debug", "", true),
            ("flask run", "FLASK_DEBUG=1", true),
            ("flask run", "", false),
            ("python app.py", "WERKZEUG_RUN_MAIN=true", true),
            ("uvicorn app:app --reload", "", true),
            ("uvicorn app:app", "", false),
            ("/usr/bin/gunicorn --reload app:app", "", true),
            ("sh -c exec gunicorn app:app", "", false),
            ("npx nodemon index.js", "", true),
            ("node --watch server.js", "", true),
            ("node server.js", "", false),
            ("npm run dev", "", true),
            ("npm start", "", false),
            ("next dev", "", true),
            ("next start", "", false),
            ("bin/rails server", "", true),
            ("rails server", "", true),
            ("rails server", "RAILS_ENV=production", false),
            ("php -S 0.0.0.0:80", "", true),
            ("nginx -g daemon", "", true),
            ("python manage.py runserver", "", true),
            ("python manage.py runserver --noreload", "", false),
        ] {
            let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let env =
                env.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
            assert_eq!(reloads(&argv, &env).is_some(), expected, "{line}");
        }
    }
}

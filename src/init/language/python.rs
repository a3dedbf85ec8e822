//! Python: Django, `FastAPI`, Flask, or a program that is simply run.

use super::super::survey::Found;
use super::{Offer, exec, number_after, offered};

const IGNORED: [&str; 5] = ["**/__pycache__", "*.pyc", ".venv", "venv", ".pytest_cache"];
const MAINS: [&str; 6] = ["app.py", "main.py", "wsgi.py", "server.py", "manage.py", "run.py"];

/// How an application is served.
struct Served {
    what: &'static str,
    /// The package of the framework; empty where there is none.
    framework: &'static str,
    /// The package of what answers requests.
    server: &'static str,
    port: u16,
    command: Vec<String>,
}

pub(super) fn python(found: &Found) -> Option<Offer> {
    let requirements = found.text("requirements.txt");
    let project = found.text("pyproject.toml");
    let main = MAINS.into_iter().find(|name| found.files.contains(*name));
    if requirements.is_none() && project.is_none() && main.is_none() {
        return None;
    }
    let listed = format!("{}\n{}", requirements.unwrap_or_default(), project.unwrap_or_default()).to_lowercase();
    let served = served(found, &listed, main)?;
    let (copied, packages, sources) = match (requirements, project) {
        (Some(_), _) => ("COPY requirements.txt .\n", "-r requirements.txt", "COPY . .\n"),
        (None, Some(_)) => ("COPY . .\n", ".", ""),
        (None, None) => ("", served.framework, "COPY . .\n"),
    };
    let missing = if listed.contains(served.server) { "" } else { served.server };
    let all: Vec<&str> = [packages, missing].into_iter().filter(|part| !part.is_empty()).collect();
    let install = if all.is_empty() {
        String::new()
    } else {
        format!(
            "# What is installed changes less often than the source: its layer is kept.\n{copied}RUN pip install --no-cache-dir {}\n",
            all.join(" ")
        )
    };
    let text = format!(
        "FROM python:3-slim\nENV PYTHONUNBUFFERED=1\nWORKDIR /app\n{install}{sources}EXPOSE {}\nCMD {}\n",
        served.port,
        exec(&served.command)
    );
    Some(offered(served.what, text, &IGNORED))
}

/// Returns how the application is served, by what it lists and what its main file imports.
fn served(found: &Found, listed: &str, main: Option<&str>) -> Option<Served> {
    let source = main.and_then(|main| found.text(main)).unwrap_or_default();
    let module = main.and_then(|main| main.strip_suffix(".py")).unwrap_or("app");
    let low = source.to_lowercase();
    let uses = |package: &str| {
        listed.contains(package)
            || low.contains(&format!("import {package}"))
            || low.contains(&format!("from {package}"))
    };
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    if found.files.contains("manage.py") && uses("django") {
        let settings = found.text("manage.py").and_then(|text| text.split_once(".settings"));
        let package = settings.and_then(|(before, _)| before.rsplit(['\'', '"']).next()).unwrap_or("project");
        let command = words(&["gunicorn", "--bind=0.0.0.0:8000", &format!("{package}.wsgi")]);
        return Some(Served {
            what: "a Django application",
            framework: "django",
            server: "gunicorn",
            port: 8000,
            command,
        });
    }
    if uses("fastapi") {
        let app = assigned(source, "FastAPI(").unwrap_or("app");
        let command = words(&["uvicorn", &format!("{module}:{app}"), "--host=0.0.0.0", "--port=8000"]);
        return Some(Served {
            what: "a FastAPI application",
            framework: "fastapi",
            server: "uvicorn",
            port: 8000,
            command,
        });
    }
    if uses("flask") {
        let factory = source.contains("def create_app").then_some("create_app()");
        let app = assigned(source, "Flask(").or(factory).unwrap_or("app");
        let command = words(&["gunicorn", "--bind=0.0.0.0:5000", "--threads=4", &format!("{module}:{app}")]);
        return Some(Served {
            what: "a Flask application",
            framework: "flask",
            server: "gunicorn",
            port: 5000,
            command,
        });
    }
    let port = number_after(source, &["port=", "PORT\", ", "PORT', "]).unwrap_or(8000);
    let command = words(&["python", "-u", main?]);
    Some(Served { what: "a Python program", framework: "", server: "", port, command })
}

/// Returns the name to which a call's result is assigned: `app` of `app = Flask(__name__)`.
fn assigned<'a>(source: &'a str, call: &str) -> Option<&'a str> {
    source.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (value.trim_start().starts_with(call) && !line.starts_with(char::is_whitespace))
            .then(|| name.split(':').next().unwrap_or(name).trim())
    })
}

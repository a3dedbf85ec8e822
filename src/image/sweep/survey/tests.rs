use super::*;

const BUILT: [(&str, &str); 3] =
    [("app.kubernetes.io/managed-by", "coracle"), ("coracle.dev/profile", "shop"), ("coracle.dev/service", "web")];

fn image(id: &str, tags: &[&str], digests: &[&str], built: bool) -> ImageSummary {
    let labels = BUILT.iter().filter(|_| built).map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    ImageSummary {
        id: id.to_owned(),
        repo_tags: tags.iter().map(ToString::to_string).collect(),
        repo_digests: digests.iter().map(ToString::to_string).collect(),
        labels: labels.collect(),
        ..ImageSummary::default()
    }
}

fn survey_of(images: &[ImageSummary], contained: &[&str]) -> Survey {
    let contained = contained.iter().map(ToString::to_string).collect();
    let mut survey = Survey { contained, ..Survey::default() };
    for image in images {
        survey.take_in(image);
    }
    survey
}

/// What would go in the engine, without our host's name.
fn going(survey: &Survey, used: &[&str], all: bool) -> Vec<String> {
    let used = used.iter().map(|tag| format!("{HOST}{tag}")).collect();
    let name = |(item, _)| match item {
        Item::Engine { name, .. } => name.trim_start_matches(HOST).to_owned(),
        Item::Node { node, name } => format!("{node}: {}", name.trim_start_matches(HOST)),
        Item::Cache { records, .. } => records.join(" "),
    };
    survey.going(&used, all).into_iter().map(name).collect()
}

#[test]
fn the_last_two_stay_but_for_all() {
    let images: Vec<_> =
        ["1", "2", "3", "4"].map(|tag| image(tag, &[&format!("coracle.local/shop/web:{tag}")], &[], true)).into();
    let survey = survey_of(&images, &[]);
    assert_eq!(going(&survey, &["shop/web:1"], false), ["shop/web:2"]);
    assert_eq!(going(&survey, &["shop/web:1"], true), ["shop/web:2", "shop/web:3", "shop/web:4"]);
    let survey = survey_of(&images, &["2"]);
    assert_eq!(
        going(&survey, &[], true),
        ["shop/web:1", "shop/web:3", "shop/web:4"],
        "a container of the engine's has it"
    );
}

#[test]
fn what_is_not_ours_is_not_seen() {
    let survey = survey_of(
        &[
            image("1", &["redis:7"], &["redis@sha256:0"], false),
            image("2", &[], &[], false),
            image("3", &["127.0.0.1:5000/theirs/0"], &[], false),
            image("4", &["localhost:5000/0123456789abcdef0123456789abcdef/0"], &[], false),
            image("5", &["127.0.0.1:5000/0123456789abcdef0123456789abcdef/0:latest"], &[], false),
            image("6", &["127.4.5.6:5000/0123456789abcdef0123456789abcdef/app:1"], &[], false),
            image("7", &[], &[], true),
        ],
        &[],
    );
    assert_eq!(going(&survey, &[], true), Vec::<String>::new());
}

#[test]
fn leftovers_of_dead_runs_go_always() {
    let pushed = "127.3.9.40:41234/0123456789abcdef0123456789abcdef/0:latest";
    let survey = survey_of(&[image("1", &[pushed, "coracle.local/shop/web:1"], &[], true)], &[]);
    assert_eq!(going(&survey, &["shop/web:1"], false), [pushed]);
}

#[test]
fn bytes_come_back_only_with_the_last_name() {
    let base = ("ADD rootfs", 100);
    let history = |items: &[(&str, i64)]| {
        let item = |(by, size): &(&str, i64)| bollard::models::ImageHistoryResponseItem {
            created_by: (*by).to_owned(),
            size: *size,
            ..Default::default()
        };
        weight::layers(&items.iter().rev().map(item).collect::<Vec<_>>())
    };
    let mut survey = survey_of(
        &[
            image("b", &["base:1"], &[], false),
            image("w", &["coracle.local/shop/web:1", "coracle.local/shop/web:2"], &[], true),
            image("r", &["coracle.local/shop/redis:1", "redis:7"], &[], false),
        ],
        &[],
    );
    survey.layers = BTreeMap::from([
        ("b".to_owned(), history(&[base])),
        ("w".to_owned(), history(&[base, ("COPY app.py . # buildkit", 20), ("RUN make", 3)])),
        ("r".to_owned(), history(&[("ADD redis", 500)])),
    ]);
    let record = serde_json::json!({"BuildCache": [
        {"ID": "c1", "Description": "[2/3] COPY app.py .", "Shared": true, "Size": 20},
        {"ID": "c2", "Description": "[2/3] COPY app.py .", "Shared": false, "Size": 20}
    ]});
    survey.records = weight::parse_records(&record);
    let bytes = |used: &[&str]| {
        let used = used.iter().map(|tag| format!("{HOST}{tag}")).collect();
        survey.going(&used, true).into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>()
    };
    assert_eq!(bytes(&[]), [0, 3, 0, 20], "redis, web:1, web:2, the cache");
    assert_eq!(bytes(&["shop/web:1"]), [0, 0], "a name alone weighs nothing");
}

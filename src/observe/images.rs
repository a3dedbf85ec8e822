//! What the engine has of the profile's images: which inputs are built already, and under which tag.
//!
//! A tag is a digest of the inputs that this machine knows for certain. The ids of base images
//! are no such input, because an engine may hold a base or only its layers: the last build
//! recorded those that it saw, and one that is another by now makes the image stale.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Asked, BuildInput, Error, Inputs};
use crate::error::Failure;
use crate::image::engine::{Engine, LocalImage};
use crate::image::own::{Own, repository};
use crate::image::{dockerfile, sweep, tag};
use crate::profile::{ImageSource, Profile, Service, interpolate};

/// Settles every build's tag and ports. Returns the ids of images that would be pulled and
/// that the engine has, and this profile's tags.
pub(super) async fn ask(
    engine: &Engine,
    profile: &Profile,
    inputs: &mut Inputs,
    asked: &Asked,
) -> Result<(BTreeMap<String, String>, BTreeMap<String, Own>), Failure> {
    let bases = inputs.builds.values().flat_map(|input| input.dockerfile.bases.clone());
    // The name of an image that is built here is known only when its own inputs are.
    let bases = bases.filter(|base| interpolate::image_references(base).is_empty());
    let references: BTreeSet<String> = bases.chain(inputs.pulls.values().cloned()).collect();
    let references: Vec<String> = references.into_iter().collect();
    let (there, own) = tokio::join!(engine.local_images(&references), engine.own_tags(&profile.name));
    let (there, own) = (there?, own?);
    settle_tags(profile, inputs, &there, &own, asked)?;
    settle_ports(engine, profile, inputs, &there).await?;
    check_commands(profile, inputs, &there)?;
    let pulled =
        inputs.pulls.values().filter_map(|reference| Some((reference.clone(), there.get(reference)?.id.clone())));
    Ok((pulled.collect(), own))
}

/// Asks how old tags are where that decides which of them go after this run.
pub(super) async fn ask_ages(
    engine: &Engine,
    inputs: &Inputs,
    own: &mut BTreeMap<String, Own>,
    asked: &Asked,
) -> Result<(), Failure> {
    if asked.images_only {
        return Ok(());
    }
    let growing = inputs.builds.values().filter(|input| !input.built);
    let growing = growing.map(|input| repository(&input.tag).to_owned());
    let crowded = sweep::engine::crowded(own, &growing.collect());
    Ok(engine.ask_ages(own, &crowded).await?)
}

/// Gives each build its tag, in an order in which the images that it builds on have theirs.
fn settle_tags(
    profile: &Profile,
    inputs: &mut Inputs,
    there: &BTreeMap<String, LocalImage>,
    own: &BTreeMap<String, Own>,
    asked: &Asked,
) -> Result<(), Failure> {
    let mut tags: BTreeMap<String, String> = BTreeMap::new();
    for key in &inputs.order {
        let mut input = BuildInput::clone(&inputs.builds[key]);
        if !input.needs.is_empty() {
            for value in input.build.args.values_mut() {
                *value = interpolate::fill_images(value, &|name| tags.get(name).cloned());
            }
            // With its arguments the Dockerfile's bases become known.
            let build = &input.build;
            input.dockerfile = dockerfile::read(&build.dockerfile, build.target.as_deref(), &build.args)?;
        }
        let bases = input.dockerfile.bases.iter();
        input.bases = bases.filter_map(|base| Some((base.clone(), there.get(base)?.id.clone()))).collect();
        settle_tag(profile, key, &mut input, own, asked);
        tags.insert(key.clone(), input.tag.clone());
        inputs.builds.insert(key.clone(), Arc::new(input));
    }
    Ok(())
}

fn settle_tag(profile: &Profile, key: &str, input: &mut BuildInput, own: &BTreeMap<String, Own>, asked: &Asked) {
    let digest = tag::digest(&tag::Inputs {
        build: &input.build,
        context: &input.context,
        dockerfile: &input.dockerfile,
        ca: input.ca.as_deref(),
    });
    let plain = tag::local(&profile.name, key, &digest);
    // One that was built again from the same inputs has a suffix; the newest sorts last.
    let again = format!("{plain}-");
    let newest = own.iter().rfind(|(tag, _)| **tag == plain || tag.starts_with(&again));
    if let Some(pinned) = asked.pinned.get(key).filter(|tag| own.contains_key(*tag)) {
        (input.tag, input.built) = (pinned.clone(), true);
        return;
    }
    input.no_cache = asked.rebuilds(key);
    let fresh = || format!("{again}{}", asked.suffix);
    (input.tag, input.built) = match newest {
        _ if input.no_cache => (fresh(), false),
        Some((_, own)) if is_stale(&own.bases, &input.bases, asked.pull) => (fresh(), false),
        Some((tag, _)) => (tag.clone(), true),
        None => (plain, false),
    };
}

/// Whether a base image is another one than the last build saw. What only one of the two knows
/// says nothing, unless the newest was asked for.
fn is_stale(recorded: &BTreeMap<String, String>, now: &BTreeMap<String, String>, pull: bool) -> bool {
    now.iter().any(|(base, id)| recorded.get(base).map_or(pull, |before| before != id))
}

/// Finds the ports of services that leave them to their image: what their Dockerfile's last
/// stage EXPOSEs, else what its base image does, else what the built image does.
async fn settle_ports(
    engine: &Engine,
    profile: &Profile,
    inputs: &mut Inputs,
    there: &BTreeMap<String, LocalImage>,
) -> Result<(), Failure> {
    let open = |service: &&Service| service.ports_from_image;
    let keys: Vec<String> = profile.services.iter().filter(open).map(|service| service.key.clone()).collect();
    let built = keys.iter().filter_map(|key| inputs.builds.get(key)).filter(|input| input.built);
    let built: Vec<String> = built.map(|input| input.tag.clone()).collect();
    let built = engine.local_images(&built).await?;
    for key in keys {
        let Some(input) = inputs.builds.get(&key) else { continue };
        let dockerfile = &input.dockerfile;
        let exposed = match &dockerfile.base {
            _ if !dockerfile.exposed.is_empty() => Some(dockerfile.exposed.clone()),
            None => Some(Vec::new()),
            Some(base) => there.get(base).or_else(|| built.get(&input.tag)).map(|image| image.exposed.clone()),
        };
        inputs.builds.insert(key, Arc::new(BuildInput { exposed, ..BuildInput::clone(input) }));
    }
    Ok(())
}

/// A container without a command would crash with words that nobody understands: found here,
/// where the base image is known.
fn check_commands(profile: &Profile, inputs: &Inputs, there: &BTreeMap<String, LocalImage>) -> Result<(), Error> {
    let silent = |service: &&Service| {
        service.deploy && service.command.is_none() && service.args.is_none() && service.patch.is_none()
    };
    for service in profile.services.iter().filter(silent) {
        let has_command = match &service.image {
            ImageSource::Pull(reference) => there.get(reference).is_none_or(LocalImage::has_command),
            ImageSource::Build(_) => {
                let dockerfile = &inputs.builds[&service.key].dockerfile;
                let inherited = match &dockerfile.base {
                    Some(base) => there.get(base).is_none_or(LocalImage::has_command),
                    None => false,
                };
                dockerfile.has_command || inherited
            }
        };
        if !has_command {
            return Err(Error::NoCommand { service: service.key.clone() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_stale_only_where_both_sides_know_it() {
        let map = |entries: &[(&str, &str)]| entries.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let recorded = map(&[("python:3", "sha256:1")]);
        assert!(!is_stale(&recorded, &map(&[("python:3", "sha256:1")]), true));
        assert!(is_stale(&recorded, &map(&[("python:3", "sha256:2")]), false));
        assert!(!is_stale(&recorded, &map(&[]), true), "a base that was pruned from the engine");
        assert!(!is_stale(&map(&[]), &map(&[("python:3", "sha256:1")]), false), "a base that another service pulled");
        assert!(is_stale(&map(&[]), &map(&[("python:3", "sha256:1")]), true), "the newest was asked for");
    }
}

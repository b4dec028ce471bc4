//! What was found out about an application -> its images.

use std::path::PathBuf;

use nodeos_spec::application::{ApplicationSpec, DEFAULT_ID, DEFAULT_STOP_GRACE};
use nodeos_spec::package::{Optimize, Package};

use super::bundle::{self, Bundled, Kept, Wanted};
use super::files::Listing;
use super::image::{self, LayerImage};
use super::install::{Form, Installed, part};
use super::outline::Outline;
use super::{Application, Makers, PrepareApplicationError, Start, compile_cache};
use crate::cache::{Key, KeyHasher};
use crate::node::Node;
use crate::node::host::HostNode;

/// All but the images.
pub(super) struct Built {
    pub(super) name: String,
    pub(super) config: Package,
    pub(super) optimize: Optimize,
    pub(super) start: Start,
    pub(super) cwd: String,
    pub(super) listing: Listing,
    pub(super) folder: Option<PathBuf>,
    pub(super) node: Node,
    pub(super) host: HostNode,
    pub(super) installed: Option<Installed>,
    pub(super) notes: Vec<String>,
}

impl Built {
    pub(super) fn finish(
        mut self,
        makers: &Makers<'_>,
    ) -> Result<Application, PrepareApplicationError> {
        let bundle = self.bundle(makers)?;
        let mut spec = self.spec();
        if let Some(files) = makers.files {
            files.complete(&self.config, &mut spec);
        }
        let outline = self.outline();
        let application = image::application(
            makers.ctx,
            &self.host,
            &self.listing,
            &spec,
            &self.start,
            bundle.as_ref(),
        )?;
        let training_key = compile_cache::key(
            &self.config,
            &self.start,
            &spec,
            &self.node,
            self.compiled(bundle.as_ref()).as_ref(),
        );
        Ok(Application {
            dependencies: self.dependencies(makers, bundle.as_ref())?,
            name: self.name,
            config: self.config,
            libc: self.host.libc,
            node_version: self.node.version,
            start: self.start,
            spec,
            compile_cache: None,
            application,
            folder: self.folder,
            outline,
            notes: self.notes,
            training_key,
        })
    }

    /// Makes a bundle of it where one is wanted. From then on that is what is run.
    fn bundle(&mut self, makers: &Makers<'_>) -> Result<Option<Bundled>, PrepareApplicationError> {
        if self.optimize == Optimize::Off {
            return Ok(None);
        }
        // What Node.js says of the file comes first: it is the one that would run it otherwise.
        image::check_entry(makers.ctx, &self.host, &self.listing, &self.start)?;
        let env = [&self.config.env, &self.start.env];
        let options = env.iter().find_map(|env| env.get(compile_cache::OPTIONS));
        let wanted = Wanted {
            name: &self.name,
            start: &self.start,
            listing: &self.listing,
            installed: self.installed.as_ref(),
            node_version: &self.node.version,
            options: options.map(String::as_str),
        };
        let bundled = bundle::provide(makers.ctx, makers.manifest, &wanted)?;
        self.notes.extend(bundled.note.clone());
        if let Some((_, entry)) = &bundled.file {
            self.start.entry.clone_from(entry);
        }
        Ok(Some(bundled))
    }

    /// What all that is compiled at a start follows from, but for the application's own files.
    fn compiled(&self, bundle: Option<&Bundled>) -> Option<Key> {
        let dependencies = &self.installed.as_ref()?.key;
        Some(match bundle {
            None => dependencies.clone(),
            Some(bundle) => KeyHasher::new("bundled")
                .text("dependencies", dependencies.as_str())
                .text("bundle", bundle.contents.as_str())
                .finish(),
        })
    }

    fn dependencies(
        &self,
        makers: &Makers<'_>,
        bundle: Option<&Bundled>,
    ) -> Result<Option<LayerImage>, PrepareApplicationError> {
        let Some(installed) = &self.installed else {
            return Ok(None);
        };
        match (installed.form, bundle) {
            (Form::Image, _) => LayerImage::of(&installed.path).map(Some),
            (Form::Folder, bundle) => {
                let kept = bundle.map_or(&Kept::Everything, |bundle| &bundle.kept);
                part::image(makers.ctx, installed, kept, &self.name)
            }
        }
    }

    pub(super) fn outline(&self) -> Outline {
        let dependencies = self.installed.as_ref();
        Outline::of(
            &self.listing,
            self.spec(),
            &self.config,
            self.host.libc,
            dependencies.map(|installed| installed.path.clone()),
        )
    }

    fn spec(&self) -> ApplicationSpec {
        let mut env = self.start.env.clone();
        // What every host of Node.js applications sets; the application's own word goes over it.
        env.entry("NODE_ENV".to_owned())
            .or_insert_with(|| "production".to_owned());
        env.extend(self.config.env.clone());
        ApplicationSpec {
            name: self.name.clone(),
            argv: self.start.argv(),
            fit_memory: true,
            env,
            cwd: self.cwd.clone(),
            uid: DEFAULT_ID,
            gid: DEFAULT_ID,
            ports: self.config.ports.iter().map(|port| port.guest).collect(),
            volumes: Vec::new(),
            restart: self.config.restart,
            stop_grace: DEFAULT_STOP_GRACE,
        }
    }
}

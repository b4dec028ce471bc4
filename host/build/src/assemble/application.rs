//! An application as files that boot it without this program: images, and what each common hypervisor has to be told.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use nodeos_image::ext4::WriteExt4Error;
use nodeos_vm::accel::Accel;
use nodeos_vm::machine::{Machine, MappedImage, Network, PortForward};
use nodeos_vm::{firecracker, libvirt, run_sh};

use super::image::{self, Image, MTIME};
use super::{Bare, Booted, BuildError, Made, Renewal, UsersOrder, output};
use crate::application::contents::Contents;
use crate::application::volume::{self, Identity};
use crate::application::{Application, ForFiles, LayerImage};
use crate::cache::KeyHasher;
use crate::context::Context;
use crate::fetch::UsedInput;
use crate::format::{self, Goods, Packed};
use crate::kernel::Kernel;
use crate::recipe::{Arch, Format, Recipe};

const KERNEL: &str = "kernel";
const DEPENDENCIES: &str = "dependencies.img";
const COMPILE_CACHE: &str = "compile-cache.img";
const APPLICATION: &str = "application.img";
const RUN_SCRIPT: &str = "run.sh";
const DOMAIN: &str = "libvirt.xml";
const FIRECRACKER: &str = "firecracker.json";

/// Files of an earlier build that the next one need not have.
const MAYBE_LEFT: [&str; 4] = [
    DEPENDENCIES,
    COMPILE_CACHE,
    "system.img",
    "initramfs.cpio.lz4",
];

/// An application, and the machine that it is to have.
#[derive(Debug)]
pub struct ApplicationOrder<'a> {
    pub application: &'a Application,
    pub files: &'a ForFiles,
    pub memory_mib: u32,
    pub cpus: u32,
    /// What happens to volumes that are there.
    pub renewal: Renewal,
}

/// An application that is packed with its system.
#[derive(Debug)]
pub struct PackOrder<'a> {
    pub application: &'a Application,
    pub files: &'a ForFiles,
    /// What happens to a disk that a machine has written to.
    pub renewal: Renewal,
}

/// The files.
#[derive(Debug, Clone)]
pub struct ApplicationOutput {
    /// `out/<arch>/application-<name>/<format>`.
    pub dir: PathBuf,
    /// The kernel and the images, with their sizes; images have holes, and take less of the disk.
    pub images: Vec<(PathBuf, u64)>,
    pub run_script: PathBuf,
    /// A domain for `virsh define`.
    pub domain: PathBuf,
    /// A configuration for `firecracker --config-file`.
    pub firecracker: PathBuf,
    /// What `uname -r` says.
    pub kernel_release: String,
    pub inputs: Vec<UsedInput>,
}

/// Whether anything can be written there, before minutes of installing.
///
/// # Errors
/// [`BuildError::Output`].
pub fn check_out(arch: Arch, out: &Path) -> Result<(), BuildError> {
    output::writable(&out.join(arch.as_str()))
}

/// The system below an application: in the cache, and not in a folder yet.
#[derive(Debug)]
pub struct System {
    recipe: Recipe,
    kernel: Kernel,
    image: Image,
    inputs: Vec<UsedInput>,
}

impl System {
    /// # Errors
    /// [`BuildError`].
    pub fn make(ctx: &Context, recipe: &Recipe) -> Result<System, BuildError> {
        let made = Made::of(ctx, recipe, Booted::ByItself)?;
        let image = image::make(ctx, &made.stack, &made.parts(recipe))?;
        Ok(System {
            recipe: *recipe,
            kernel: made.kernel().clone(),
            image,
            inputs: made.used,
        })
    }

    /// For a machine that nobody keeps.
    pub fn bare(&self) -> Bare {
        Bare {
            kernel: self.kernel.vmlinux.clone(),
            system: self.image.path.clone(),
            system_bytes: self.image.bytes,
            unpacked_bytes: self.image.unpacked_bytes,
        }
    }

    /// Of its image or archive, and of what that is when it is unpacked.
    pub fn bytes(&self) -> (u64, u64) {
        (self.image.bytes, self.image.unpacked_bytes)
    }
}

/// Puts an application's files into its folder below `out`. What is there of its volumes stays.
///
/// # Errors
/// [`BuildError`].
pub fn publish(
    system: &System,
    order: &ApplicationOrder<'_>,
    out: &Path,
) -> Result<ApplicationOutput, BuildError> {
    let System { recipe, image, .. } = system;
    let application = order.application;
    let dir = folder(application, recipe.arch, Format::Qemu, out);
    output::writable(&dir)?;
    let mut images = vec![
        (system.kernel.vmlinux.as_path(), KERNEL),
        (image.path.as_path(), image::file_name(recipe.root)),
    ];
    let layers = layers(application);
    images.extend(
        layers
            .iter()
            .map(|(layer, name)| (layer.path.as_path(), *name)),
    );
    for (from, name) in &images {
        output::link(from, &dir.join(name))?;
    }
    for name in MAYBE_LEFT {
        if !images.iter().any(|(_, known)| *known == name) {
            remove(&dir.join(name))?;
        }
    }
    let mut names: Vec<PathBuf> = images.iter().map(|(_, name)| dir.join(name)).collect();
    let volumes = order.files.volume_names(&application.config);
    let volumes: Vec<PathBuf> = volumes
        .into_iter()
        .map(|name| provide_volume(&dir, application, name, order.renewal))
        .collect::<Result<_, _>>()?;
    let machine = machine(system, order, &volumes);
    names.extend(volumes);
    let [run_script, domain, config] = [RUN_SCRIPT, DOMAIN, FIRECRACKER].map(|name| dir.join(name));
    let script = run_sh::run_sh_about(&machine, &about(order));
    output::write(&run_script, &script, 0o755)?;
    output::write(
        &domain,
        &libvirt::domain(&machine, &application.name),
        0o644,
    )?;
    output::write(&config, &firecracker::config(&machine), 0o644)?;
    output::publish(out, &dir, &system.inputs)?;
    Ok(ApplicationOutput {
        images: names.into_iter().map(sized).collect::<Result<_, _>>()?,
        run_script,
        domain,
        firecracker: config,
        kernel_release: system.kernel.release.clone(),
        inputs: system.inputs.clone(),
        dir,
    })
}

/// Packs an application in a format other than that of files for QEMU, into its folder below `out`. `recipe` is that of its system;
/// its layer is the format's.
///
/// # Errors
/// [`BuildError`].
pub fn pack(
    ctx: &Context,
    recipe: &Recipe,
    format: Format,
    order: &PackOrder<'_>,
    out: &Path,
) -> Result<Packed, BuildError> {
    let recipe = Recipe {
        layer: format.below_applications(),
        ..*recipe
    };
    let dir = folder(order.application, recipe.arch, format, out);
    output::writable(&dir)?;
    let contents = Contents::read(order.application, order.files);
    let contents = contents.map_err(BuildError::Application)?;
    let made = Made::of(ctx, &recipe, Booted::of(format))?;
    let users = UsersOrder {
        renewal: order.renewal,
        ..UsersOrder::default()
    };
    let goods = Goods::new(ctx, &recipe, &made, &users).with(&contents);
    let packed = format::write(format, &goods, &dir)?;
    output::publish(out, &dir, &packed.inputs)?;
    Ok(packed)
}

/// `out/<arch>/application-<name>/<format>`.
fn folder(application: &Application, arch: Arch, format: Format, out: &Path) -> PathBuf {
    out.join(arch.as_str())
        .join(format!("application-{}", application.name))
        .join(format.as_str())
}

/// The images of an application and what they are called here, the lowest first.
fn layers(application: &Application) -> Vec<(&LayerImage, &'static str)> {
    let dependencies = application.dependencies.as_ref();
    let compile_cache = application.compile_cache.as_ref();
    [
        dependencies.map(|image| (image, DEPENDENCIES)),
        compile_cache.map(|image| (image, COMPILE_CACHE)),
        Some((&application.application, APPLICATION)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The machine, as `run.sh` boots it.
fn machine(system: &System, order: &ApplicationOrder<'_>, volumes: &[PathBuf]) -> Machine {
    let System { recipe, image, .. } = system;
    let file = Path::new(image::file_name(recipe.root));
    let root = image::machine_root(recipe.root, file, image.bytes);
    let mapped = |(layer, name): (&LayerImage, &str)| MappedImage {
        image: name.into(),
        size: layer.bytes,
    };
    let application = order.application;
    let ports = order.files.ports(&application.config).iter();
    Machine {
        // The script has its own word about it, and the others are for hosts that have it.
        accel: Accel::Kvm,
        memory_mib: order.memory_mib,
        cpus: order.cpus,
        layers: layers(application).into_iter().map(mapped).collect(),
        disks: volumes.to_vec(),
        network: Network::ByTheKernel,
        ports: ports
            .map(|port| PortForward {
                address: port.address,
                host: port.host,
                guest: port.guest,
            })
            .collect(),
        ..Machine::new(KERNEL.into(), root)
    }
}

/// What somebody who opens the script reads first.
fn about(order: &ApplicationOrder<'_>) -> Vec<String> {
    let application = order.application;
    let mut lines = vec![
        format!(
            "Runs {}, an application on NodeOS {} and Node.js {}, in QEMU.",
            application.name,
            env!("CARGO_PKG_VERSION"),
            application.node_version
        ),
        String::new(),
        "What it writes appears on this terminal. Ctrl-C is for the application, whose end is the"
            .to_owned(),
        "machine's. Ctrl-A X ends the machine at once; Ctrl-A C and then system_powerdown lets the"
            .to_owned(),
        "application end first. Its exit code stays in the machine.".to_owned(),
    ];
    let ports = order.files.ports(&application.config);
    if !ports.is_empty() {
        lines.push(String::new());
    }
    lines.extend(ports.iter().map(|port| {
        let (address, host, guest) = (port.address, port.host, port.guest);
        format!("Port {guest} of the machine is {address}:{host} of this host.")
    }));
    lines
}

/// The image of a volume: the one that is there, whatever is in it, or an empty one. The same application and name give the same.
pub(crate) fn provide_volume(
    dir: &Path,
    application: &Application,
    name: &str,
    renewal: Renewal,
) -> Result<PathBuf, BuildError> {
    let path = dir.join(format!("volume-{name}.img"));
    if renewal == Renewal::Keep && path.exists() {
        return Ok(path);
    }
    let key = KeyHasher::new("volume")
        .text("application", &application.name)
        .text("name", name)
        .finish();
    let uuid = image::uuid(&key);
    let identity = Identity {
        uuid,
        hash_seed: uuid,
        time: MTIME,
    };
    let owner = (application.spec.uid, application.spec.gid);
    let mut failure: Option<WriteExt4Error> = None;
    let written = output::replace(&path, |temporary| {
        let file = File::create_new(temporary)?;
        volume::write(&file, name, owner, identity).map_err(|error| {
            failure = Some(error);
            io::Error::other("the image could not be written")
        })
    });
    match (written, failure) {
        (Err(_), Some(source)) => Err(BuildError::Users { path, source }),
        (written, _) => written.map(|()| path),
    }
}

fn remove(path: &Path) -> Result<(), BuildError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(BuildError::Output {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

fn sized(path: PathBuf) -> Result<(PathBuf, u64), BuildError> {
    match fs::metadata(&path) {
        Ok(found) => Ok((path, found.len())),
        Err(source) => Err(BuildError::Output { path, source }),
    }
}

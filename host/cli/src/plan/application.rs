//! Whether what was asked of an application means something in its format.

use nodeos_build::recipe::{Format, RootKind};

use super::PlanError;

/// What was said that not every format understands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wishes {
    pub memory: bool,
    pub cpus: bool,
    pub flavor: bool,
    pub profile: bool,
    pub root: Option<RootKind>,
    pub fresh: bool,
}

/// Refuses wishes that nothing would come of.
///
/// # Errors
/// [`PlanError`].
pub fn format(format: Format, wishes: &Wishes) -> Result<(), PlanError> {
    // The files for QEMU come with descriptions of a machine, whose console is its serial line.
    let describes = format == Format::Qemu;
    let has_consoles = format.has_kernel() && !describes;
    let meaningless = [
        ("--memory", wishes.memory && !describes),
        ("--cpus", wishes.cpus && !describes),
        ("--flavor", wishes.flavor && !has_consoles),
        ("--fresh", wishes.fresh && !format.keeps_files()),
    ];
    if let Some((flag, _)) = meaningless.into_iter().find(|(_, is)| *is) {
        return Err(PlanError::Meaningless { format, flag });
    }
    if wishes.profile && !format.has_kernel() {
        return Err(PlanError::NoKernel { format });
    }
    super::root_of_format(format, wishes.root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_understands_what_it_can_do_something_about() {
        let check = |format: Format, wishes: Wishes, expected: Option<&str>| {
            let said = super::format(format, &wishes).err();
            assert_eq!(said.as_ref().map(ToString::to_string).as_deref(), expected);
            assert!(said.is_none_or(|error| error.is_usage() && error.hint().is_some()));
        };
        let none = Wishes::default();
        for format in Format::ALL {
            check(*format, none, None);
        }
        let memory = Wishes {
            memory: true,
            ..none
        };
        check(Format::Qemu, memory, None);
        let expected = "--memory means nothing to an application in the format disk";
        check(Format::Disk, memory, Some(expected));
        let flavor = Wishes {
            flavor: true,
            ..none
        };
        check(Format::Netboot, flavor, None);
        let expected = "--flavor means nothing to an application in the format qemu";
        check(Format::Qemu, flavor, Some(expected));
        let fresh = Wishes {
            fresh: true,
            ..none
        };
        check(Format::Qcow2, fresh, None);
        let expected = "--fresh means nothing to an application in the format oci";
        check(Format::Oci, fresh, Some(expected));
        let profile = Wishes {
            profile: true,
            ..none
        };
        let expected = "the format wsl has no kernel";
        check(Format::Wsl, profile, Some(expected));
        let root = Wishes {
            root: Some(RootKind::Disk),
            ..none
        };
        let expected = "the format vdi has one kind of root, which cannot be chosen";
        check(Format::Vdi, root, Some(expected));
    }
}

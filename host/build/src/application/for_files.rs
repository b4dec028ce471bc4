//! What an application's image has to say where no host passes on orders: everything.

use std::collections::BTreeMap;

use nodeos_image::ext4::MAX_LABEL;
use nodeos_spec::application::{ApplicationSpec, Volume, VolumeSource as Mounted};
use nodeos_spec::package::Package;
use nodeos_spec::package::port::PublishedPort;
use nodeos_spec::package::volume::{VolumeOrder, VolumeSource};

use super::PrepareApplicationError;

/// What is said about an application beside its project. What is empty is as package.json has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ForFiles {
    pub ports: Vec<PublishedPort>,
    /// Over package.json's, name by name.
    pub env: BTreeMap<String, String>,
    pub volumes: Vec<VolumeOrder>,
}

impl ForFiles {
    pub fn ports<'a>(&'a self, config: &'a Package) -> &'a [PublishedPort] {
        match self.ports.is_empty() {
            true => &config.ports,
            false => &self.ports,
        }
    }

    /// The names of its volumes, each once, in the order of their disks.
    pub fn volume_names<'a>(&'a self, config: &'a Package) -> Vec<&'a str> {
        let mut names = Vec::new();
        for order in self.volumes(config) {
            if let VolumeSource::Named(name) = &order.source
                && !names.contains(&name.as_str())
            {
                names.push(name.as_str());
            }
        }
        names
    }

    fn volumes<'a>(&'a self, config: &'a Package) -> &'a [VolumeOrder] {
        match self.volumes.is_empty() {
            true => &config.volumes,
            false => &self.volumes,
        }
    }

    /// A folder of this host is not there on another one. And a machine knows its disks by their labels, since their order is
    /// another with each hypervisor.
    pub(super) fn check(&self, config: &Package) -> Result<(), PrepareApplicationError> {
        for VolumeOrder { source, path, .. } in self.volumes(config) {
            if let VolumeSource::Folder(folder) = source {
                return Err(PrepareApplicationError::FolderVolume {
                    folder: folder.clone(),
                    path: path.clone(),
                });
            }
        }
        let names = self.volume_names(config);
        for (index, second) in names.iter().enumerate() {
            let earlier = names[..index].iter();
            if let Some(first) = earlier.copied().find(|first| label(first) == label(second)) {
                return Err(PrepareApplicationError::VolumeLabels {
                    first: first.to_owned(),
                    second: (*second).to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Says it in the application's orders.
    pub(super) fn complete(&self, config: &Package, spec: &mut ApplicationSpec) {
        spec.env.extend(self.env.clone());
        spec.ports = self.ports(config).iter().map(|port| port.guest).collect();
        let volumes = self.volumes(config).iter();
        spec.volumes = volumes
            .filter_map(|order| match &order.source {
                VolumeSource::Named(name) => Some(Volume {
                    source: Mounted::Disk(format!("LABEL={}", label(name))),
                    path: order.path.clone(),
                    read_only: order.read_only,
                }),
                VolumeSource::Folder(_) => None,
            })
            .collect();
    }
}

/// What the filesystem of a volume is called.
pub(crate) fn label(name: &str) -> &str {
    // Names of volumes are ASCII.
    name.get(..MAX_LABEL).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(volumes: &[&str]) -> ForFiles {
        ForFiles {
            volumes: volumes.iter().map(|text| text.parse().unwrap()).collect(),
            ..ForFiles::default()
        }
    }

    #[test]
    fn what_is_said_goes_over_what_package_json_says() {
        let config = Package {
            ports: vec!["80:3000".parse().unwrap()],
            volumes: vec!["./data:/data".parse().unwrap()],
            ..Package::default()
        };
        let mut spec = ApplicationSpec::parse(
            r#"{"name": "a", "argv": ["/bin/node"], "env": {"A": "1", "B": "1"}}"#,
        )
        .unwrap();
        let mut files = files(&["db:/data", "db:/again:ro"]);
        files.env.insert("B".to_owned(), "2".to_owned());
        files.check(&config).unwrap();
        files.complete(&config, &mut spec);
        assert_eq!(spec.ports, [3000]);
        assert_eq!((spec.env["A"].as_str(), spec.env["B"].as_str()), ("1", "2"));
        let disk = |path: &str, read_only| Volume {
            source: Mounted::Disk("LABEL=db".to_owned()),
            path: path.to_owned(),
            read_only,
        };
        assert_eq!(spec.volumes, [disk("/data", false), disk("/again", true)]);
        assert_eq!(files.volume_names(&config), ["db"]);
    }

    #[test]
    fn folders_and_names_that_a_machine_cannot_tell_apart_are_refused() {
        let check = |volumes: &[&str], expected: &str| {
            let error = files(volumes).check(&Package::default()).unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert!(error.hint().is_some());
        };
        check(
            &["./data:/data"],
            "the folder ./data of this host, a volume at /data, is not there on another host",
        );
        check(
            &["customers-of-acme-1:/a", "customers-of-acme-2:/b"],
            "the volumes customers-of-acme-1 and customers-of-acme-2 begin alike, and a machine tells them apart by 16 letters",
        );
    }
}

"""What setup.cfg cannot say: the configs travel inside the package, as cmim/configs."""

from setuptools import find_packages, setup

CONFIGS = ("cmim.configs", "cmim.configs._base_", "cmim.configs.suites")

setup(
    packages=[*find_packages(include=("cmim*", "tasks*")), *CONFIGS],
    package_dir={
        name: name.removeprefix("cmim.").replace(".", "/") for name in CONFIGS
    },
)

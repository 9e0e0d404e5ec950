"""The plugins that are shipped: one module each, named as in `[plugins.NAME]`."""

from __future__ import annotations

#: Name → what it does, in one line.
SHIPPED = {
    "autopkgtest": "run the package's tests after each build",
    "bind_mount": "show files and directories of this host to builds",
    "blhc": "look for missing hardening flags after each build",
    "buildroot_report": "write what the root consisted of: packages, where they came from, layers",
    "ccache": "keep what compilers made for the next build of the same package",
    "chroot_scan": "keep files of the build directory, such as config.log, when a build failed",
    "compress_logs": "compress the logs of builds that have ended",
    "hw_info": "write what machine a build ran on",
    "lintian": "run lintian after each build",
    "package_state": "write the list of installed packages",
    "piuparts": "install, upgrade and remove what was built after each build",
    "sign": "sign the results of each build",
    "tmpfs": "keep changes to throw-away roots in memory",
}

#: Plugins of Mock that are something else here → what to say.
ELSEWHERE = {
    "root_cache": "roots are layers that are kept: there is nothing to enable",
    "yum_cache": "fetched packages are kept in the store: there is nothing to enable",
    "overlayfs": "roots are overlays of layers: deb-mock snapshot needs nothing else",
    "lvm_root": "roots are overlays of layers: deb-mock snapshot needs nothing else",
    "mount": "use bind_mount: only files and directories of this host can be shown",
    "buildroot_lock": "each build writes lock.json; before one: deb-mock lock",
    "procenv": "the build log has the environment, in its section User Environment",
    "selinux": "there is no SELinux inside: there is nothing to pretend",
    "pm_request": "a build may not ask for packages: put them into Build-Depends",
    "export_buildroot_image": "deb-mock lock says what a root is, and makes it again anywhere",
    "system_monitor": "result.json has peak memory and disk of each build",
    "scm": "name the git repository: deb-mock build URL#BRANCH",
}

//! What products are installed from, and together: package repositories, their files, and the interop table. It alone
//! reaches package repositories.

mod interop;
mod package_repositories;
mod packages;
mod peer;

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("packages")
        .post(
            "/v1/package-repositories",
            "package_repositories.create",
            package_repositories::create,
            "Register a package repository and read its index",
        )
        .get("/v1/package-repositories", "package_repositories.list", package_repositories::list, "List package repositories")
        .get(
            "/v1/package-repositories/{packageRepositoryId}",
            "package_repositories.show",
            package_repositories::show,
            "Read a package repository",
        )
        .delete(
            "/v1/package-repositories/{packageRepositoryId}",
            "package_repositories.remove",
            package_repositories::remove,
            "Take a package repository off the register",
        )
        .get(
            "/v1/package-repositories/{packageRepositoryId}/files",
            "package_repositories.list_files",
            package_repositories::list_files,
            "List a repository's files and what is known of each",
        )
        .post(
            "/v1/package-repositories/{packageRepositoryId}/refresh",
            "package_repositories.refresh",
            package_repositories::refresh,
            "Read a repository's index again",
        )
        .post(
            "/v1/package-repositories/{packageRepositoryId}/verify",
            "package_repositories.verify",
            package_repositories::verify,
            "Compare a repository's files with its index",
        )
        .get("/v1/interop", "interop.show", interop::show, "Read which versions work together and which upgrades are allowed")
        .put("/v1/interop", "interop.replace", interop::replace, "Replace the interop table")
        .post("/v1/interop/check", "interop.check", interop::check, "Say what stands against products or an upgrade")
        .job(packages::refresh)
        .job(packages::verify)
}

web::serve!(routes);

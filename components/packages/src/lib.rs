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
            "Show a package repository",
        )
        .delete(
            "/v1/package-repositories/{packageRepositoryId}",
            "package_repositories.remove",
            package_repositories::remove,
            "Remove a package repository",
        )
        .get(
            "/v1/package-repositories/{packageRepositoryId}/files",
            "package_repositories.list_files",
            package_repositories::list_files,
            "List the files of a package repository",
        )
        .post(
            "/v1/package-repositories/{packageRepositoryId}/refresh",
            "package_repositories.refresh",
            package_repositories::refresh,
            "Refresh a package repository's index",
        )
        .post(
            "/v1/package-repositories/{packageRepositoryId}/verify",
            "package_repositories.verify",
            package_repositories::verify,
            "Verify a package repository's files",
        )
        .get("/v1/interop", "interop.show", interop::show, "Show the interop table of versions and upgrades")
        .put("/v1/interop", "interop.replace", interop::replace, "Replace the interop table")
        .post("/v1/interop/check", "interop.check", interop::check, "Check products or an upgrade against the interop table")
        .job(packages::refresh)
        .job(packages::verify)
}

web::serve!(routes);

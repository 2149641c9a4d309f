"""The routes, by what they are about."""

from domain.http.routes import (
    accounts,
    administration,
    billing,
    identity,
    me,
    media,
    organizations,
    posts,
    publications,
    reports,
    service,
    stripe,
    webhooks,
)

ROUTERS = (
    service.router,
    identity.router,
    me.router,
    me.keyed,
    organizations.router,
    organizations.inside,
    posts.router,
    publications.router,
    media.router,
    accounts.router,
    accounts.outside,
    accounts.returning,
    reports.router,
    webhooks.router,
    webhooks.outside,
    billing.router,
    stripe.router,
    administration.router,
)

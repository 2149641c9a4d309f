"""What notices say, in Portuguese for Portuguese speakers and in English for all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from domain.use_cases.wording import Wording

if TYPE_CHECKING:
    from collections.abc import Mapping

INVITED: Final = "organization_invited"
BY_EMAIL: Final = frozenset(
    {
        INVITED,
        "subscription_past_due",
        "plan_downgraded",
        "account_needs_reauth",
        "account_revoked",
        "organization_marked_for_deletion",
        "webhook_disabled",
    }
)
"""What somebody has to act on who may not look into the application for days."""

_PORTUGUESE: Mapping[str, Wording] = {
    "subscription_past_due": Wording(
        "O pagamento da assinatura falhou",
        "O pagamento da assinatura de {organization} falhou. Até {day} tudo continua como está; depois a organização "
        "passa para o plano gratuito. Confira a forma de pagamento no portal de cobrança.",
    ),
    "subscription_recovered": Wording("A assinatura está em dia de novo", "O pagamento de {organization} chegou."),
    "plan_downgraded": Wording(
        "Sua organização está no plano gratuito",
        "{organization} está no plano gratuito. Nada foi apagado: contas e webhooks acima do limite estão desligados, "
        "e os posts dessas contas estão em pausa até que haja um plano maior.",
    ),
    "account_needs_reauth": Wording(
        "Conecte a conta {handle} de novo",
        "{handle} não nos deixa mais entrar. Os posts agendados para essa conta estão em pausa até que alguém a "
        "conecte de novo.",
    ),
    "account_revoked": Wording(
        "A conta {handle} foi desconectada",
        "Quem conectou {handle} apagou o próprio cadastro, e o nosso acesso acabou com ele. Os posts agendados para "
        "essa conta não serão publicados. Conecte-a de novo e agende outra vez o que ainda deve sair.",
    ),
    "media_refused": Wording(
        "Um arquivo não passou na verificação",
        "O arquivo {filename} não pode ser publicado ({reason}). Os posts que o usavam não serão publicados.",
    ),
    "organization_marked_for_deletion": Wording(
        "A sua organização será apagada",
        "A organização {organization} está suspensa há mais de 30 dias e será apagada em {day}. Fale conosco até lá "
        "se não for o caso.",
    ),
    "webhook_disabled": Wording("Um webhook foi desativado", "{url}: {reason}"),
    INVITED: Wording(
        "{organization} convida você",
        "Há um convite de {organization} para você. Entre na sua conta para aceitar ou recusar; ele vale por 14 dias.",
    ),
    "report_ready": Wording("Seu relatório está pronto", ""),
    "report_failed": Wording("Seu relatório não pôde ser feito", ""),
}

_ENGLISH: Mapping[str, Wording] = {
    "subscription_past_due": Wording(
        "The payment of your subscription failed",
        "The payment of the subscription of {organization} failed. Until {day} everything stays as it is; after that "
        "the organization is on the free plan. Please look in the billing portal at how you pay.",
    ),
    "subscription_recovered": Wording("Your subscription is paid again", "The payment of {organization} has come."),
    "plan_downgraded": Wording(
        "You are on the free plan now",
        "{organization} is on the free plan now. Nothing was deleted: accounts and webhooks above its limits are "
        "switched off, and the posts of those accounts are paused until there is a larger plan.",
    ),
    "account_needs_reauth": Wording(
        "Please connect {handle} again",
        "{handle} does not let us in any more. The posts that are scheduled for this account are paused until somebody "
        "connects it again.",
    ),
    "account_revoked": Wording(
        "{handle} was disconnected",
        "Whoever connected {handle} has had their user account deleted, and our access went with it. The posts that "
        "were scheduled for this account will not be published. Connect it again and schedule what is still to go out.",
    ),
    "media_refused": Wording(
        "A file did not pass the scan",
        "The file {filename} cannot be published ({reason}). The posts that used it will not be published.",
    ),
    "organization_marked_for_deletion": Wording(
        "Your organization will be deleted",
        "The organization {organization} has been suspended for more than 30 days and will be deleted on {day}. "
        "Contact us before that if this is a mistake.",
    ),
    "webhook_disabled": Wording("A webhook endpoint was disabled", "{url}: {reason}"),
    INVITED: Wording(
        "{organization} invites you",
        "There is an invitation for you from {organization}. Sign in to accept or decline it; it is good for 14 days.",
    ),
    "report_ready": Wording("Your report is ready", ""),
    "report_failed": Wording("Your report could not be made", ""),
}

KINDS: Final = frozenset(_ENGLISH)


def told(locale: str, kind: str, about: Mapping[str, str]) -> tuple[str, str]:
    """Return a notice's title and text; a place in them that ``about`` does not fill is an error."""
    words = (_PORTUGUESE if locale.lower().startswith("pt") else _ENGLISH)[kind]
    # a title becomes a mail's subject, and some names in it come from other systems: one line, whatever they hold
    return " ".join(words.title.format(**about).split()), words.body.format(**about)

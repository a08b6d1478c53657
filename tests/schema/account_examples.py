"""A mutation that succeeds, of each about accounts, sessions and imports."""

import io

from graphql_api.database.user import Role
from graphql_api.schema.node import global_id
from graphql_api.schema.upload import UploadedFile
from tests.factories import (
    PASSWORD,
)
from tests.sales_files import sale, sales_csv
from tests.schema.mutation_walk import NEW_PASSWORD, Attempt, World, example
from tests.services.account_case import ADDRESS, SECRET


@example("register")
async def _register(_world: World) -> Attempt:
    person = {"email": ADDRESS, "name": "Mona", "password": SECRET}
    return Attempt("User", None, person, secrets=(SECRET,))


@example("verifyEmail")
async def _verify_email(world: World) -> Attempt:
    challenge = await world.accounts.register()
    code = await world.accounts.mailed_code()
    newest = "SELECT max(id) FROM user_account"
    actor = await world.scalar(newest) + 1
    answer = {"token": challenge.token, "code": code}
    return Attempt("User", newest, answer, actor=actor, secrets=(challenge.token, code, SECRET))


@example("login")
async def _login(world: World) -> Attempt:
    user = world.users[Role.STAFF]
    credentials = {"email": user.email, "password": PASSWORD}
    return Attempt("Session", "SELECT max(id) FROM session", credentials, actor=user.id, secrets=(PASSWORD,))


@example("refreshToken")
async def _refresh_token(world: World) -> Attempt:
    tokens = await world.session()
    token = tokens.refresh.text
    return Attempt(
        "Session",
        tokens.viewer.session_id,
        {"refreshToken": token},
        actor=tokens.viewer.user_id,
        secrets=(token, tokens.access.text),
    )


@example("logout")
async def _logout(world: World) -> Attempt:
    return Attempt("Session", world.staff.session_id, viewer=world.staff)


@example("logoutEverywhere")
async def _logout_everywhere(world: World) -> Attempt:
    return Attempt("User", world.staff.user_id, viewer=world.staff)


@example("revokeSession")
async def _revoke_session(world: World) -> Attempt:
    other = (await world.session()).viewer.session_id
    return Attempt("Session", other, {"id": global_id("Session", other)}, world.staff)


@example("updateProfile")
async def _update_profile(world: World) -> Attempt:
    return Attempt("User", world.staff.user_id, {"name": "New Name"}, world.staff)


@example("changePassword")
async def _change_password(world: World) -> Attempt:
    passwords = {"oldPassword": PASSWORD, "newPassword": NEW_PASSWORD}
    return Attempt("User", world.staff.user_id, passwords, world.staff, secrets=(PASSWORD, NEW_PASSWORD))


@example("requestPasswordReset")
async def _request_password_reset(world: World) -> Attempt:
    return Attempt("User", None, {"email": world.users[Role.STAFF].email})


@example("verifyPasswordReset")
async def _verify_password_reset(world: World) -> Attempt:
    token, code = await world.reset(is_verified=False)
    return Attempt("User", world.staff.user_id, {"token": token, "code": code}, secrets=(token, code))


@example("resetPassword")
async def _reset_password(world: World) -> Attempt:
    token, code = await world.reset(is_verified=True)
    wish = {"token": token, "newPassword": NEW_PASSWORD}
    return Attempt("User", world.staff.user_id, wish, secrets=(token, code, NEW_PASSWORD))


@example("updateUser")
async def _update_user(world: World) -> Attempt:
    key = world.staff.user_id
    wish = {"id": global_id("User", key), "expectedVersion": 1, "role": "SALESPERSON"}
    return Attempt("User", key, wish, world.admin)


@example("inviteUser")
async def _invite_user(world: World) -> Attempt:
    return Attempt("Invitation", "SELECT max(id) FROM invitation", {"email": ADDRESS, "role": "STAFF"}, world.admin)


@example("revokeInvitation")
async def _revoke_invitation(world: World) -> Attempt:
    issued = await world.invitation()
    return Attempt(
        "Invitation", issued.row.id, {"id": global_id("Invitation", issued.row.id)}, world.admin, secrets=(issued.code,)
    )


@example("acceptInvitation")
async def _accept_invitation(world: World) -> Attempt:
    issued = await world.invitation()
    newest = "SELECT max(id) FROM user_account"
    answer = {"email": ADDRESS, "code": issued.code, "name": "Mona", "password": SECRET}
    return Attempt("User", newest, answer, actor=await world.scalar(newest) + 1, secrets=(issued.code, SECRET))


@example("startImport")
async def _start_import(world: World) -> Attempt:
    file = UploadedFile("sales.csv", io.BytesIO(sales_csv([sale("a")])))
    return Attempt("Import", "SELECT max(id) FROM import_job", {"file": file}, world.staff)


@example("confirmImport")
async def _confirm_import(world: World) -> Attempt:
    key = await world.import_job("COMPLETED", dry_run=True)
    return Attempt("Import", "SELECT max(id) FROM import_job", {"id": global_id("Import", key)}, world.staff)


@example("cancelImport")
async def _cancel_import(world: World) -> Attempt:
    key = await world.import_job("QUEUED")
    return Attempt("Import", key, {"id": global_id("Import", key)}, world.staff)


@example("revertImport")
async def _revert_import(world: World) -> Attempt:
    key = await world.import_job("COMPLETED")
    return Attempt("Import", key, {"id": global_id("Import", key)}, world.staff)

"""resources of the dossier

Revision: 0017
Follows: 0016
"""

import sqlalchemy as sa
from alembic import op


revision = '0017'
down_revision = '0016'
branch_labels = None
depends_on = None

WATCHED_ITEM = "(new.patient_id IS NOT NULL{old}) AND new.kind NOT IN ('identity', 'receipt') AND EXISTS (SELECT 1 FROM resource_following)"
WATCHED_PATIENT = "EXISTS (SELECT 1 FROM resource_following)"


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
    op.create_table('resource',
    sa.Column('id', number, autoincrement=False, nullable=False),
    sa.Column('type', sa.String(length=40), nullable=False),
    sa.Column('logical_id', sa.String(length=64), nullable=False),
    sa.Column('patient_id', number, nullable=True),
    sa.Column('category', sa.String(length=16), nullable=False),
    sa.Column('marks', sa.Integer(), server_default='0', nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=True),
    sa.Column('author', sa.BigInteger(), nullable=True),
    sa.Column('thing', sa.BigInteger(), nullable=True),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('updated_at', sa.BigInteger(), nullable=False),
    sa.Column('state', sa.SmallInteger(), server_default='0', nullable=False),
    sa.Column('item_id', number, nullable=True),
    sa.Column('owner', sa.String(length=80), nullable=True),
    sa.Column('digest', sa.LargeBinary(length=16), nullable=False),
    sa.Column('tokens', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_resource'))
    )
    op.create_index('ux_resource_logical', 'resource', ['type', 'logical_id'], unique=True)
    of_patient = sa.text('patient_id IS NOT NULL')
    op.create_index('ix_resource_patient', 'resource', ['patient_id', 'type', 'updated_at', 'id'], sqlite_where=of_patient, postgresql_where=of_patient)
    op.create_index('ix_resource_updated', 'resource', ['type', 'updated_at', 'id'])
    op.create_table('resource_body',
    sa.Column('resource_id', number, autoincrement=False, nullable=False),
    sa.Column('version', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('state', sa.SmallInteger(), nullable=False),
    sa.Column('sealed_body', sa.LargeBinary(), nullable=False),
    sa.Column('blobs', sa.Text(), nullable=True),
    sa.Column('message_id', number, nullable=True),
    sa.ForeignKeyConstraint(['resource_id'], ['resource.id'], name=op.f('fk_resource_body_resource_id_resource'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('resource_id', 'version', name=op.f('pk_resource_body'))
    )
    op.create_index('ux_resource_body_at', 'resource_body', ['at'], unique=True)
    by_message = sa.text('message_id IS NOT NULL')
    op.create_index('ix_resource_body_message', 'resource_body', ['message_id'], sqlite_where=by_message, postgresql_where=by_message)
    op.create_table('resource_token',
    sa.Column('token', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('resource_id', number, autoincrement=False, nullable=False),
    sa.ForeignKeyConstraint(['resource_id'], ['resource.id'], name=op.f('fk_resource_token_resource_id_resource'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('token', 'resource_id', name=op.f('pk_resource_token')),
    sqlite_with_rowid=False
    )
    op.create_table('resource_date',
    sa.Column('resource_id', number, autoincrement=False, nullable=False),
    sa.Column('name', sa.String(length=24), nullable=False),
    sa.Column('low', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('high', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['resource_id'], ['resource.id'], name=op.f('fk_resource_date_resource_id_resource'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('resource_id', 'name', 'low', name=op.f('pk_resource_date')),
    sqlite_with_rowid=False
    )
    op.create_table('resource_item',
    sa.Column('resource_id', number, autoincrement=False, nullable=False),
    sa.Column('item_id', number, autoincrement=False, nullable=False),
    sa.ForeignKeyConstraint(['resource_id'], ['resource.id'], name=op.f('fk_resource_item_resource_id_resource'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('resource_id', 'item_id', name=op.f('pk_resource_item')),
    sqlite_with_rowid=False
    )
    op.create_index('ix_resource_item_item', 'resource_item', ['item_id'])
    op.create_table('resource_pending',
    sa.Column('id', number, autoincrement=True, nullable=False),
    sa.Column('kind', sa.String(length=8), nullable=False),
    sa.Column('number', number, nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_resource_pending'))
    )
    op.create_table('resource_following',
    sa.Column('active', sa.SmallInteger(), autoincrement=False, nullable=False),
    sa.PrimaryKeyConstraint('active', name=op.f('pk_resource_following'))
    )
    watch()
    tools(number)


def tools(number: sa.types.TypeEngine[int]) -> None:
    op.create_table('tool',
    sa.Column('name', sa.String(length=80), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('scopes', sa.String(length=400), nullable=False),
    sa.Column('structure', sa.String(length=160), server_default='', nullable=False),
    sa.Column('secret_hash', sa.LargeBinary(length=32), nullable=True),
    sa.Column('former_hash', sa.LargeBinary(length=32), nullable=True),
    sa.Column('former_until', sa.BigInteger(), nullable=True),
    sa.Column('keys', sa.String(length=8000), nullable=True),
    sa.Column('certificate', sa.LargeBinary(length=32), nullable=True),
    sa.Column('expires_at', sa.BigInteger(), nullable=True),
    sa.Column('revoked_at', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_tool'))
    )
    op.create_table('tool_token',
    sa.Column('token_hash', sa.LargeBinary(length=32), nullable=False),
    sa.Column('tool', sa.String(length=80), nullable=False),
    sa.Column('scopes', sa.String(length=400), nullable=False),
    sa.Column('sealed_user', sa.LargeBinary(), nullable=True),
    sa.Column('certificate', sa.LargeBinary(length=32), nullable=True),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('expires_at', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['tool'], ['tool.name'], name=op.f('fk_tool_token_tool_tool'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('token_hash', name=op.f('pk_tool_token'))
    )
    op.create_index('ix_tool_token_expires', 'tool_token', ['expires_at'])
    op.create_table('tool_assertion',
    sa.Column('digest', sa.LargeBinary(length=32), nullable=False),
    sa.Column('expires_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('digest', name=op.f('pk_tool_assertion'))
    )
    op.create_table('subscription',
    sa.Column('resource_id', number, autoincrement=False, nullable=False),
    sa.Column('tool', sa.String(length=80), nullable=False),
    sa.Column('state', sa.String(length=12), nullable=False),
    sa.Column('cursor', sa.BigInteger(), nullable=False),
    sa.Column('events', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('ends_at', sa.BigInteger(), nullable=True),
    sa.Column('heartbeat', sa.Integer(), nullable=True),
    sa.Column('next_heartbeat_at', sa.BigInteger(), nullable=True),
    sa.Column('handshake_attempts', sa.Integer(), server_default='0', nullable=False),
    sa.Column('next_handshake_at', sa.BigInteger(), nullable=True),
    sa.Column('detail', sa.String(length=200), server_default='', nullable=False),
    sa.Column('sealed_settings', sa.LargeBinary(), nullable=False),
    sa.ForeignKeyConstraint(['resource_id'], ['resource.id'], name=op.f('fk_subscription_resource_id_resource'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('resource_id', name=op.f('pk_subscription'))
    )
    on = sa.text("state IN ('requested', 'active')")
    op.create_index('ix_subscription_on', 'subscription', ['state'], sqlite_where=on, postgresql_where=on)
    op.create_table('subscription_event',
    sa.Column('subscription_id', number, autoincrement=False, nullable=False),
    sa.Column('number', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('resource_id', number, nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('patient_id', number, nullable=True),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('state', sa.String(length=12), nullable=False),
    sa.Column('attempts', sa.Integer(), server_default='0', nullable=False),
    sa.Column('next_attempt_at', sa.BigInteger(), nullable=False),
    sa.Column('ended_at', sa.BigInteger(), nullable=True),
    sa.Column('detail', sa.String(length=200), server_default='', nullable=False),
    sa.ForeignKeyConstraint(['subscription_id'], ['subscription.resource_id'], name=op.f('fk_subscription_event_subscription_id_subscription'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('subscription_id', 'number', name=op.f('pk_subscription_event')),
    sqlite_with_rowid=False
    )
    open_ = sa.text("state = 'pending'")
    op.create_index('ix_subscription_event_open', 'subscription_event', ['subscription_id', 'number'], sqlite_where=open_, postgresql_where=open_)


def watch() -> None:
    """Put every change of an Item or patient that the dossier may have to follow in `resource_pending`."""
    postgres = op.get_bind().dialect.name == 'postgresql'
    for name, table, kind, event, when in (
        ('resource_item_new', 'item', 'item', 'INSERT', WATCHED_ITEM.format(old='')),
        ('resource_item_changed', 'item', 'item', 'UPDATE OF state, patient_id', WATCHED_ITEM.format(old=' OR old.patient_id IS NOT NULL')),
        ('resource_dossier_changed', 'dossier_history', 'dossier', 'INSERT', WATCHED_PATIENT),
        ('resource_patient_new', 'patient', 'patient', 'INSERT', WATCHED_PATIENT),
        ('resource_patient_changed', 'patient', 'patient', 'UPDATE OF updated_at, in_coordination, merged_into', WATCHED_PATIENT),
    ):
        number = 'dossier_id' if kind == 'dossier' else 'id'
        if not postgres:
            op.execute(f"CREATE TRIGGER {name} AFTER {event} ON {table} WHEN {when} "
                       f"BEGIN INSERT INTO resource_pending (kind, number) VALUES ('{kind}', new.{number}); END")
            continue
        op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                   f"IF {when} THEN INSERT INTO resource_pending (kind, number) VALUES ('{kind}', new.{number}); END IF; "
                   f"RETURN NULL; END $$")
        op.execute(f"CREATE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()")


def downgrade() -> None:
    postgres = op.get_bind().dialect.name == 'postgresql'
    for name, table in (('resource_dossier_changed', 'dossier_history'), ('resource_item_new', 'item'), ('resource_item_changed', 'item'), ('resource_patient_new', 'patient'), ('resource_patient_changed', 'patient')):
        op.execute(f"DROP TRIGGER {name} ON {table}" if postgres else f"DROP TRIGGER {name}")
        if postgres:
            op.execute(f"DROP FUNCTION {name}()")
    for table in ('subscription_event', 'subscription', 'tool_assertion', 'tool_token', 'tool', 'resource_following', 'resource_pending', 'resource_item', 'resource_date', 'resource_token', 'resource_body', 'resource'):
        op.drop_table(table)

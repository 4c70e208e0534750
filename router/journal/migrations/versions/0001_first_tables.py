"""first tables

Revision: 0001
Follows: 
"""

import sqlalchemy as sa
from alembic import op


revision = '0001'
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('account',
    sa.Column('name', sa.String(length=80), nullable=False),
    sa.Column('password_hash', sa.String(length=200), nullable=False),
    sa.Column('role', sa.String(length=24), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('failures', sa.Integer(), server_default='0', nullable=False),
    sa.Column('locked_until', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_account'))
    )
    op.create_table('api_key',
    sa.Column('key_hash', sa.LargeBinary(length=32), nullable=False),
    sa.Column('name', sa.String(length=80), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('revoked_at', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('key_hash', name=op.f('pk_api_key')),
    sa.UniqueConstraint('name', name=op.f('uq_api_key_name'))
    )
    op.create_table('audit',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('actor', sa.String(length=120), nullable=False),
    sa.Column('action', sa.String(length=60), nullable=False),
    sa.Column('target', sa.String(length=120), nullable=False),
    sa.Column('detail', sa.String(length=400), server_default='', nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_audit'))
    )
    with op.batch_alter_table('audit', schema=None) as batch_op:
        batch_op.create_index('ix_audit_at', ['at'], unique=False)

    op.create_table('message',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('received_at', sa.BigInteger(), nullable=False),
    sa.Column('source', sa.String(length=64), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('control_id', sa.String(length=256), nullable=False),
    sa.Column('message_type', sa.String(length=32), nullable=False),
    sa.Column('format', sa.String(length=32), nullable=True),
    sa.Column('peer', sa.String(length=128), nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.Column('identity', sa.LargeBinary(length=16), nullable=False),
    sa.Column('blob', sa.String(length=64), nullable=True),
    sa.Column('processed_at', sa.BigInteger(), nullable=True),
    sa.Column('worst', sa.SmallInteger(), server_default='0', nullable=False),
    sa.Column('unread', sa.Integer(), server_default='0', nullable=False),
    sa.Column('duplicates', sa.Integer(), server_default='0', nullable=False),
    sa.Column('replays', sa.Integer(), server_default='0', nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_message'))
    )
    with op.batch_alter_table('message', schema=None) as batch_op:
        batch_op.create_index('ix_message_control_id', ['control_id'], unique=False)
        batch_op.create_index('ix_message_open', ['state', 'id'], unique=False, sqlite_where=sa.text("state <> 'processed'"), postgresql_where=sa.text("state <> 'processed'"))
        batch_op.create_index('ix_message_received', ['received_at', 'source'], unique=False)
        batch_op.create_index('ux_message_identity', ['identity'], unique=True)

    op.create_table('notice',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('component', sa.String(length=80), nullable=False),
    sa.Column('severity', sa.String(length=8), nullable=False),
    sa.Column('code', sa.String(length=80), nullable=False),
    sa.Column('where_', sa.String(length=160), nullable=False),
    sa.Column('message', sa.String(length=400), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_notice'))
    )
    with op.batch_alter_table('notice', schema=None) as batch_op:
        batch_op.create_index('ix_notice_at', ['at'], unique=False)

    op.create_table('patient',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('updated_at', sa.BigInteger(), nullable=False),
    sa.Column('in_coordination', sa.Boolean(), nullable=False),
    sa.Column('sealed_identity', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_patient'))
    )
    with op.batch_alter_table('patient', schema=None) as batch_op:
        batch_op.create_index('ix_patient_updated', ['updated_at'], unique=False)

    op.create_table('setting',
    sa.Column('name', sa.String(length=60), nullable=False),
    sa.Column('value', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_setting'))
    )
    op.create_table('item',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('message_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('ordinal', sa.Integer(), nullable=False),
    sa.Column('item_key', sa.String(length=40), nullable=False),
    sa.Column('kind', sa.String(length=24), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('reason', sa.String(length=64), nullable=True),
    sa.Column('patient_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('lane', sa.BigInteger(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('routes', sa.Text(), nullable=True),
    sa.Column('blobs', sa.Text(), nullable=True),
    sa.Column('sealed_summary', sa.LargeBinary(), nullable=False),
    sa.Column('sealed_body', sa.LargeBinary(), nullable=False),
    sa.ForeignKeyConstraint(['message_id'], ['message.id'], name=op.f('fk_item_message_id_message'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_item'))
    )
    with op.batch_alter_table('item', schema=None) as batch_op:
        batch_op.create_index('ix_item_held', ['state', 'id'], unique=False, sqlite_where=sa.text("state = 'held'"), postgresql_where=sa.text("state = 'held'"))
        batch_op.create_index('ix_item_message', ['message_id'], unique=False)
        batch_op.create_index('ix_item_patient', ['patient_id', 'id'], unique=False, sqlite_where=sa.text('patient_id IS NOT NULL'), postgresql_where=sa.text('patient_id IS NOT NULL'))

    op.create_table('message_content',
    sa.Column('message_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('sealed_content', sa.LargeBinary(), nullable=True),
    sa.Column('sealed_detail', sa.LargeBinary(), nullable=True),
    sa.ForeignKeyConstraint(['message_id'], ['message.id'], name=op.f('fk_message_content_message_id_message'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('message_id', name=op.f('pk_message_content'))
    )
    op.create_table('patient_token',
    sa.Column('token', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('patient_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('kind', sa.String(length=12), nullable=False),
    sa.ForeignKeyConstraint(['patient_id'], ['patient.id'], name=op.f('fk_patient_token_patient_id_patient'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('token', 'patient_id', name=op.f('pk_patient_token'))
    )
    with op.batch_alter_table('patient_token', schema=None) as batch_op:
        batch_op.create_index('ix_patient_token_patient', ['patient_id'], unique=False)

    op.create_table('reading',
    sa.Column('message_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('sealed_report', sa.LargeBinary(), nullable=False),
    sa.ForeignKeyConstraint(['message_id'], ['message.id'], name=op.f('fk_reading_message_id_message'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('message_id', name=op.f('pk_reading'))
    )
    op.create_table('session',
    sa.Column('token_hash', sa.LargeBinary(length=32), nullable=False),
    sa.Column('account', sa.String(length=80), nullable=False),
    sa.Column('csrf', sa.String(length=64), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('seen_at', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['account'], ['account.name'], name=op.f('fk_session_account_account'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('token_hash', name=op.f('pk_session'))
    )
    op.create_table('delivery',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('item_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('message_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('destination', sa.String(length=64), nullable=False),
    sa.Column('route', sa.String(length=120), nullable=False),
    sa.Column('lane', sa.BigInteger(), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('identity', sa.String(length=40), nullable=False),
    sa.Column('format', sa.String(length=32), nullable=False),
    sa.Column('media_type', sa.String(length=80), nullable=False),
    sa.Column('filename', sa.String(length=160), nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.Column('blob', sa.String(length=64), nullable=True),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('ended_at', sa.BigInteger(), nullable=True),
    sa.Column('next_attempt_at', sa.BigInteger(), nullable=True),
    sa.Column('attempts', sa.Integer(), server_default='0', nullable=False),
    sa.Column('attempts_before', sa.Integer(), server_default='0', nullable=False),
    sa.Column('detail', sa.String(length=400), nullable=True),
    sa.Column('worst', sa.SmallInteger(), server_default='0', nullable=False),
    sa.Column('replay_of', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.ForeignKeyConstraint(['item_id'], ['item.id'], name=op.f('fk_delivery_item_id_item'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_delivery'))
    )
    with op.batch_alter_table('delivery', schema=None) as batch_op:
        batch_op.create_index('ix_delivery_ended', ['ended_at', 'destination'], unique=False)
        batch_op.create_index('ix_delivery_failed', ['state', 'id'], unique=False, sqlite_where=sa.text("state IN ('retrying', 'held', 'dead', 'cancelled')"), postgresql_where=sa.text("state IN ('retrying', 'held', 'dead', 'cancelled')"))
        batch_op.create_index('ix_delivery_item', ['item_id'], unique=False)
        batch_op.create_index('ix_delivery_lane', ['destination', 'lane', 'id'], unique=False, sqlite_where=sa.text("state IN ('pending', 'retrying')"), postgresql_where=sa.text("state IN ('pending', 'retrying')"))
        batch_op.create_index('ix_delivery_message', ['message_id'], unique=False)
        batch_op.create_index('ix_delivery_open', ['destination', 'id'], unique=False, sqlite_where=sa.text("state IN ('pending', 'retrying')"), postgresql_where=sa.text("state IN ('pending', 'retrying')"))

    op.create_table('item_token',
    sa.Column('token', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('item_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.ForeignKeyConstraint(['item_id'], ['item.id'], name=op.f('fk_item_token_item_id_item'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('token', 'item_id', name=op.f('pk_item_token')),
    sqlite_with_rowid=False
    )
    op.create_table('attempt',
    sa.Column('delivery_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('number', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('started_at', sa.BigInteger(), nullable=False),
    sa.Column('ended_at', sa.BigInteger(), nullable=False),
    sa.Column('outcome', sa.String(length=16), nullable=False),
    sa.Column('detail', sa.String(length=400), nullable=False),
    sa.Column('sealed_answer', sa.LargeBinary(), nullable=True),
    sa.ForeignKeyConstraint(['delivery_id'], ['delivery.id'], name=op.f('fk_attempt_delivery_id_delivery'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('delivery_id', 'number', name=op.f('pk_attempt'))
    )
    op.create_table('delivery_content',
    sa.Column('delivery_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('sealed_content', sa.LargeBinary(), nullable=True),
    sa.Column('sealed_detail', sa.LargeBinary(), nullable=True),
    sa.ForeignKeyConstraint(['delivery_id'], ['delivery.id'], name=op.f('fk_delivery_content_delivery_id_delivery'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('delivery_id', name=op.f('pk_delivery_content'))
    )


def downgrade() -> None:
    op.drop_table('delivery_content')
    op.drop_table('attempt')
    op.drop_table('item_token')
    with op.batch_alter_table('delivery', schema=None) as batch_op:
        batch_op.drop_index('ix_delivery_open', sqlite_where=sa.text("state IN ('pending', 'retrying')"), postgresql_where=sa.text("state IN ('pending', 'retrying')"))
        batch_op.drop_index('ix_delivery_message')
        batch_op.drop_index('ix_delivery_lane', sqlite_where=sa.text("state IN ('pending', 'retrying')"), postgresql_where=sa.text("state IN ('pending', 'retrying')"))
        batch_op.drop_index('ix_delivery_item')
        batch_op.drop_index('ix_delivery_failed', sqlite_where=sa.text("state IN ('retrying', 'held', 'dead', 'cancelled')"), postgresql_where=sa.text("state IN ('retrying', 'held', 'dead', 'cancelled')"))
        batch_op.drop_index('ix_delivery_ended')

    op.drop_table('delivery')
    op.drop_table('session')
    op.drop_table('reading')
    with op.batch_alter_table('patient_token', schema=None) as batch_op:
        batch_op.drop_index('ix_patient_token_patient')

    op.drop_table('patient_token')
    op.drop_table('message_content')
    with op.batch_alter_table('item', schema=None) as batch_op:
        batch_op.drop_index('ix_item_patient', sqlite_where=sa.text('patient_id IS NOT NULL'), postgresql_where=sa.text('patient_id IS NOT NULL'))
        batch_op.drop_index('ix_item_message')
        batch_op.drop_index('ix_item_held', sqlite_where=sa.text("state = 'held'"), postgresql_where=sa.text("state = 'held'"))

    op.drop_table('item')
    op.drop_table('setting')
    with op.batch_alter_table('patient', schema=None) as batch_op:
        batch_op.drop_index('ix_patient_updated')

    op.drop_table('patient')
    with op.batch_alter_table('notice', schema=None) as batch_op:
        batch_op.drop_index('ix_notice_at')

    op.drop_table('notice')
    with op.batch_alter_table('message', schema=None) as batch_op:
        batch_op.drop_index('ux_message_identity')
        batch_op.drop_index('ix_message_received')
        batch_op.drop_index('ix_message_control_id')
        batch_op.drop_index('ix_message_open', sqlite_where=sa.text("state <> 'processed'"), postgresql_where=sa.text("state <> 'processed'"))

    op.drop_table('message')
    with op.batch_alter_table('audit', schema=None) as batch_op:
        batch_op.drop_index('ix_audit_at')

    op.drop_table('audit')
    op.drop_table('api_key')
    op.drop_table('account')

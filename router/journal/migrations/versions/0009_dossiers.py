"""coordination dossiers: circles, consents, visibility, habilitations, accesses, alerts

Revision: 0009
Follows: 0008
"""

import sqlalchemy as sa
from alembic import op


revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
    op.create_table('dossier_access',
    sa.Column('id', number, autoincrement=True, nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('dossier_id', number, nullable=False),
    sa.Column('reader', sa.String(length=120), nullable=False),
    sa.Column('member_id', number, nullable=True),
    sa.Column('item_id', number, nullable=True),
    sa.Column('thing', sa.BigInteger(), nullable=True),
    sa.Column('action', sa.String(length=12), nullable=False),
    sa.Column('category', sa.String(length=12), nullable=False),
    sa.Column('allowed', sa.Boolean(), nullable=False),
    sa.Column('rule', sa.String(length=40), nullable=False),
    sa.Column('tool', sa.String(length=80), server_default='', nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_dossier_access'))
    )
    op.create_index('ix_dossier_access_dossier', 'dossier_access', ['dossier_id', 'id'])
    op.create_index('ix_dossier_access_thing', 'dossier_access', ['thing', 'member_id'])
    op.create_table('habilitation',
    sa.Column('id', number, autoincrement=True, nullable=False),
    sa.Column('holder', sa.String(length=16), nullable=False),
    sa.Column('start_at', sa.BigInteger(), nullable=False),
    sa.Column('end_at', sa.BigInteger(), nullable=True),
    sa.Column('granted_at', sa.BigInteger(), nullable=False),
    sa.Column('granted_by', sa.String(length=120), nullable=False),
    sa.Column('ended_by', sa.String(length=120), nullable=True),
    sa.Column('sealed_body', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_habilitation'))
    )
    op.create_table('habilitation_matrix',
    sa.Column('id', number, autoincrement=True, nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('actor', sa.String(length=120), nullable=False),
    sa.Column('why', sa.String(length=400), nullable=False),
    sa.Column('content', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_habilitation_matrix'))
    )
    op.create_table('dossier',
    sa.Column('id', number, autoincrement=True, nullable=False),
    sa.Column('patient_id', number, nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('opened_at', sa.BigInteger(), nullable=False),
    sa.Column('closed_at', sa.BigInteger(), nullable=True),
    sa.Column('updated_at', sa.BigInteger(), nullable=False),
    sa.Column('version', sa.Integer(), server_default='1', nullable=False),
    sa.Column('sealed_body', sa.LargeBinary(), nullable=False),
    sa.ForeignKeyConstraint(['patient_id'], ['patient.id'], name=op.f('fk_dossier_patient_id_patient'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_dossier'))
    )
    op.create_index('ix_dossier_former', 'dossier', ['patient_id', 'id'])
    op.create_index('ix_dossier_updated', 'dossier', ['updated_at'])
    op.create_index('ux_dossier_patient', 'dossier', ['patient_id'], unique=True, sqlite_where=sa.text("closed_at IS NULL"), postgresql_where=sa.text("closed_at IS NULL"))
    op.create_table('alert',
    sa.Column('id', number, autoincrement=True, nullable=False),
    sa.Column('dossier_id', number, nullable=False),
    sa.Column('item_id', number, nullable=True),
    sa.Column('thing', sa.BigInteger(), nullable=True),
    sa.Column('event', sa.String(length=16), nullable=False),
    sa.Column('rule', sa.String(length=80), nullable=False),
    sa.Column('level', sa.String(length=12), nullable=False),
    sa.Column('category', sa.String(length=12), nullable=False),
    sa.Column('same', sa.BigInteger(), nullable=False),
    sa.Column('fact', sa.BigInteger(), nullable=True),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('annulled_at', sa.BigInteger(), nullable=True),
    sa.ForeignKeyConstraint(['dossier_id'], ['dossier.id'], name=op.f('fk_alert_dossier_id_dossier'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_alert'))
    )
    op.create_index('ix_alert_dossier', 'alert', ['dossier_id', 'id'])
    op.create_index('ix_alert_same', 'alert', ['same'])
    op.create_table('dossier_consent',
    sa.Column('id', number, autoincrement=True, nullable=False),
    sa.Column('dossier_id', number, nullable=False),
    sa.Column('kind', sa.String(length=32), nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('until_at', sa.BigInteger(), nullable=True),
    sa.Column('recorded_at', sa.BigInteger(), nullable=False),
    sa.Column('recorded_by', sa.String(length=120), nullable=False),
    sa.Column('withdrawn_at', sa.BigInteger(), nullable=True),
    sa.Column('withdrawn_by', sa.String(length=120), nullable=True),
    sa.Column('sealed_body', sa.LargeBinary(), nullable=False),
    sa.ForeignKeyConstraint(['dossier_id'], ['dossier.id'], name=op.f('fk_dossier_consent_dossier_id_dossier'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_dossier_consent'))
    )
    op.create_index('ix_dossier_consent_dossier', 'dossier_consent', ['dossier_id', 'id'])
    op.create_table('dossier_emergency',
    sa.Column('id', number, autoincrement=True, nullable=False),
    sa.Column('dossier_id', number, nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('until_at', sa.BigInteger(), nullable=False),
    sa.Column('opened_by', sa.String(length=120), nullable=False),
    sa.Column('sealed_body', sa.LargeBinary(), nullable=False),
    sa.ForeignKeyConstraint(['dossier_id'], ['dossier.id'], name=op.f('fk_dossier_emergency_dossier_id_dossier'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_dossier_emergency'))
    )
    op.create_index('ix_dossier_emergency_dossier', 'dossier_emergency', ['dossier_id', 'until_at'])
    op.create_table('dossier_entry',
    sa.Column('item_id', number, autoincrement=False, nullable=False),
    sa.Column('category', sa.String(length=12), nullable=False),
    sa.Column('marks', sa.SmallInteger(), nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('author', sa.BigInteger(), nullable=True),
    sa.Column('name', sa.BigInteger(), nullable=False),
    sa.Column('thing', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['item_id'], ['item.id'], name=op.f('fk_dossier_entry_item_id_item'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('item_id', name=op.f('pk_dossier_entry'))
    )
    op.create_index('ix_dossier_entry_name', 'dossier_entry', ['name'])
    op.create_index('ix_dossier_entry_thing', 'dossier_entry', ['thing', 'item_id'])
    op.create_table('dossier_history',
    sa.Column('id', number, autoincrement=True, nullable=False),
    sa.Column('dossier_id', number, nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('actor', sa.String(length=120), nullable=False),
    sa.Column('action', sa.String(length=40), nullable=False),
    sa.Column('subject', number, nullable=True),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('merge_id', number, nullable=True),
    sa.Column('sealed_detail', sa.LargeBinary(), nullable=False),
    sa.ForeignKeyConstraint(['dossier_id'], ['dossier.id'], name=op.f('fk_dossier_history_dossier_id_dossier'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_dossier_history'))
    )
    op.create_index('ix_dossier_history_dossier', 'dossier_history', ['dossier_id', 'id'])
    op.create_table('dossier_member',
    sa.Column('id', number, autoincrement=True, nullable=False),
    sa.Column('dossier_id', number, nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('family', sa.String(length=16), nullable=False),
    sa.Column('start_at', sa.BigInteger(), nullable=False),
    sa.Column('end_at', sa.BigInteger(), nullable=True),
    sa.Column('added_at', sa.BigInteger(), nullable=False),
    sa.Column('added_by', sa.String(length=120), nullable=False),
    sa.Column('updated_at', sa.BigInteger(), nullable=False),
    sa.Column('sealed_body', sa.LargeBinary(), nullable=False),
    sa.ForeignKeyConstraint(['dossier_id'], ['dossier.id'], name=op.f('fk_dossier_member_dossier_id_dossier'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_dossier_member'))
    )
    op.create_index('ix_dossier_member_dossier', 'dossier_member', ['dossier_id', 'id'])
    op.create_table('dossier_restriction',
    sa.Column('id', number, autoincrement=True, nullable=False),
    sa.Column('dossier_id', number, nullable=False),
    sa.Column('thing', sa.BigInteger(), nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('by', sa.String(length=120), nullable=False),
    sa.Column('lifted_at', sa.BigInteger(), nullable=True),
    sa.Column('lifted_by', sa.String(length=120), nullable=True),
    sa.Column('sealed_body', sa.LargeBinary(), nullable=False),
    sa.ForeignKeyConstraint(['dossier_id'], ['dossier.id'], name=op.f('fk_dossier_restriction_dossier_id_dossier'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_dossier_restriction'))
    )
    op.create_index('ix_dossier_restriction_dossier', 'dossier_restriction', ['dossier_id', 'id'])
    op.create_table('alert_notice',
    sa.Column('id', number, autoincrement=True, nullable=False),
    sa.Column('alert_id', number, nullable=False),
    sa.Column('member_id', number, nullable=False),
    sa.Column('channel', sa.String(length=12), nullable=False),
    sa.Column('state', sa.String(length=12), nullable=False),
    sa.Column('not_before', sa.BigInteger(), nullable=False),
    sa.Column('attempts', sa.Integer(), server_default='0', nullable=False),
    sa.Column('changed_at', sa.BigInteger(), nullable=False),
    sa.Column('read_at', sa.BigInteger(), nullable=True),
    sa.Column('detail', sa.String(length=200), server_default='', nullable=False),
    sa.ForeignKeyConstraint(['alert_id'], ['alert.id'], name=op.f('fk_alert_notice_alert_id_alert'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_alert_notice'))
    )
    op.create_index('ix_alert_notice_alert', 'alert_notice', ['alert_id'])
    op.create_index('ix_alert_notice_member', 'alert_notice', ['member_id', 'id'])
    op.create_index('ix_alert_notice_open', 'alert_notice', ['channel', 'not_before'], sqlite_where=sa.text("state = 'queued'"), postgresql_where=sa.text("state = 'queued'"))
    op.create_table('dossier_member_token',
    sa.Column('token', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('member_id', number, autoincrement=False, nullable=False),
    sa.ForeignKeyConstraint(['member_id'], ['dossier_member.id'], name=op.f('fk_dossier_member_token_member_id_dossier_member'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('token', 'member_id', name=op.f('pk_dossier_member_token'))
    )
    op.create_index('ix_dossier_member_token_member', 'dossier_member_token', ['member_id'])


def downgrade() -> None:
    op.drop_table('dossier_member_token')
    op.drop_table('alert_notice')
    op.drop_table('dossier_restriction')
    op.drop_table('dossier_member')
    op.drop_table('dossier_history')
    op.drop_table('dossier_entry')
    op.drop_table('dossier_emergency')
    op.drop_table('dossier_consent')
    op.drop_table('alert')
    op.drop_table('dossier')
    op.drop_table('habilitation_matrix')
    op.drop_table('habilitation')
    op.drop_table('dossier_access')

"""how notices leave: the resource of an alert, the delivery or the event of a subscription that carries a notice

Revision: 0019
Follows: 0018
"""

import sqlalchemy as sa
from alembic import op


revision = '0019'
down_revision = '0018'
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
    op.add_column('alert', sa.Column('resource_id', number, nullable=True))
    there = sa.text('resource_id IS NOT NULL')
    op.create_index('ix_alert_resource', 'alert', ['resource_id'], sqlite_where=there, postgresql_where=there)
    op.create_index('ix_alert_at', 'alert', ['at'])
    op.add_column('alert_notice', sa.Column('delivery_id', number, nullable=True))
    op.add_column('alert_notice', sa.Column('left_at', sa.BigInteger(), nullable=True))
    leaving = sa.text("state IN ('leaving', 'sent')")
    op.create_index('ix_alert_notice_leaving', 'alert_notice', ['delivery_id'], sqlite_where=leaving, postgresql_where=leaving)
    op.create_table('dossier_reading',
    sa.Column('thing', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('member_id', number, autoincrement=False, nullable=False),
    sa.Column('fetched_at', sa.BigInteger(), nullable=False),
    sa.Column('read_at', sa.BigInteger(), nullable=True),
    sa.ForeignKeyConstraint(['member_id'], ['dossier_member.id'], name=op.f('fk_dossier_reading_member_id_dossier_member'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('thing', 'member_id', name=op.f('pk_dossier_reading')),
    sqlite_with_rowid=False
    )
    op.create_index('ix_dossier_reading_member', 'dossier_reading', ['member_id'])
    op.add_column('subscription_event', sa.Column('notice_id', number, nullable=True))
    told = sa.text('notice_id IS NOT NULL')
    op.create_index('ix_subscription_event_notice', 'subscription_event', ['notice_id'], sqlite_where=told, postgresql_where=told)


def downgrade() -> None:
    op.drop_table('dossier_reading')
    op.drop_index('ix_subscription_event_notice', table_name='subscription_event')
    op.drop_column('subscription_event', 'notice_id')
    op.drop_index('ix_alert_notice_leaving', table_name='alert_notice')
    op.drop_column('alert_notice', 'left_at')
    op.drop_column('alert_notice', 'delivery_id')
    op.drop_index('ix_alert_at', table_name='alert')
    op.drop_index('ix_alert_resource', table_name='alert')
    op.drop_column('alert', 'resource_id')
